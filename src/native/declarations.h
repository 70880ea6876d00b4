/* What Python sees of the extension.  cffi reads this file as text: no
   preprocessor runs over it.  Every "..." is filled in by the compiler. */

#define IN_ACCESS ...
#define IN_MODIFY ...
#define IN_ATTRIB ...
#define IN_CLOSE_WRITE ...
#define IN_CLOSE_NOWRITE ...
#define IN_OPEN ...
#define IN_MOVED_FROM ...
#define IN_MOVED_TO ...
#define IN_CREATE ...
#define IN_DELETE ...
#define IN_DELETE_SELF ...
#define IN_MOVE_SELF ...

#define IN_UNMOUNT ...
#define IN_Q_OVERFLOW ...
#define IN_IGNORED ...

#define IN_CLOSE ...
#define IN_MOVE ...
#define IN_ALL_EVENTS ...

#define IN_ONLYDIR ...
#define IN_DONT_FOLLOW ...
#define IN_EXCL_UNLINK ...
#define IN_MASK_CREATE ...
#define IN_MASK_ADD ...
#define IN_ISDIR ...
#define IN_ONESHOT ...

#define IN_CLOEXEC ...
#define IN_NONBLOCK ...

/* Written out in full, so that the compiler checks every size and offset. */
struct inotify_event {
    int wd;
    uint32_t mask;
    uint32_t cookie;
    uint32_t len;
    char name[];
};

/* inotify(7)'s calls.  They return -errno and leave errno alone: a signal
   handler could change that before Python looks. */
int init(void);
int init1(int flags);
int add_watch(int fd, const char *pathname, uint32_t mask);
int rm_watch(int fd, int wd);
ssize_t read_queue(int fd, char *data, size_t size);
ssize_t queued_bytes(int fd);

/* How often this process was forked off, and those before it. */
extern unsigned forks;

/* An inotify instance that may be closed while it is used: every call holds
   the descriptor open until it returns.  Each returns -errno, or -CLOSED. */
#define CLOSED ...
#define SURELY_EMPTIED ...
struct instance {
    ...;
};
/* The descriptor, or -errno. */
int instance_open(struct instance *instance, int flags, int closefd);
void instance_close(struct instance *instance);
int instance_add_watch(struct instance *instance, const char *path, uint32_t mask);
int instance_rm_watch(struct instance *instance, int wd);
struct queued {
    ssize_t size; /* what one read took, in bytes; -errno when it failed */
    ssize_t rest; /* what was queued and is still, in bytes */
    long long number; /* of the reads that took something, in the kernel's order */
    char data[...];
};
void instance_read(struct instance *instance, struct queued *queued, int more);
ssize_t instance_queued_bytes(struct instance *instance);
int instance_join_epoll(struct instance *instance, int epoll);
int instance_never_block(struct instance *instance);

/* An eventfd that ends a wait; guarded like an instance. */
struct bell {
    ...;
};
int bell_open(struct bell *bell);
int bell_renew(struct bell *bell);
void bell_close(struct bell *bell);
void bell_ring(struct bell *bell);
void bell_silence(struct bell *bell);

/* The names in a directory but "." and "..", one after another. */
struct listing {
    char *name; /* until the next is asked for */
    int is_directory;
    ...;
};
void listing_open(struct listing *listing, const char *path);
/* 1, or 0 after the last, or -errno, that of opening included. */
int listing_next(struct listing *listing, int directories_only);
void listing_close(struct listing *listing);

/* POSIX extended regular expressions; see pattern.c. */
struct pattern {
    char error[...];
    ...;
};
int pattern_compile(struct pattern *pattern, const char *expression, int ignore_case);
int pattern_matches(struct pattern *pattern, const char *text, int more_follows);
void pattern_free(struct pattern *pattern);

/* CPython only; see the end of source.c. */
void exchange_builtins(uintptr_t list);
