"""`TreeWatcher`: whole trees, reported truly.

How a tree can be followed
==========================

**The kernel's model.** inotify watches inodes, not paths, and a watch on a directory
does not reach below it. For each watched directory the kernel queues what happens in
it, completely and in order: a change holds the lock of the directory until its event
is in the queue. rename(2) holds the locks of both directories and queues MOVED_FROM
and MOVED_TO, with one cookie; then, without these locks, MOVE_SELF of what moved.
The queue says nothing of the time before a watch was added. When it is full, one
event without a watch says so, and what follows is lost until that is read.

**What goes wrong.** Four things, each of which every watcher of trees meets:

1. *A new directory is not empty.* Between the CREATE of a directory and our watch on
   it, things happen in it that no event tells. So the directory has to be scanned.
   But a scan shows the present, while the queue is still at the past: what the scan
   finds may be queued as well, and the path that led to the directory may lead to
   another one by now.
2. *A rename is two events.* The second one may be missing: what was renamed has left
   the trees, or went into a directory that was not watched yet.
3. *An exchange looks like two renames* (RENAME_EXCHANGE): x to y, then y to x. But
   then y is still there, and of two directories it is not said which one moved.
4. *The queue overflows.* Then the model may be wrong in any place.

**The decisions.**

1. *Scan: watch, list, then put a fence into the queue.* A fence is a watch that is
   added and removed, whose IGNORED comes behind all that the listing can have seen.
   Up to the fence is the *window* of the scan: events of that directory are *held
   back*, for the listing may have them already. At the fence the scan is *valid* if
   nothing in the window moved or removed the directory or one above it: all above it
   is watched, so then its path led to it. If not, it is dropped and made again;
   nothing of it has been reported. If it is, the events that were held back are
   applied to the listing. The result is what the directory held at the fence; it is
   reported as synthetic CREATEs, and the directories in it are scanned next. From
   there on, the kernel's own events of this directory are complete.

   A rename from a known directory into one that is being scanned is reported at once
   if nothing later in this window invalidates the scan. From then on, that name's
   events are reported directly. Else it would be reported after what happened to it
   later elsewhere.
2. *The first event of a rename is pending until there is proof.* Another structural
   event of the same directory, or the MOVE_SELF of what moved, shows that no second
   event comes. If the queue ends before that, the directory is listed once, which
   waits for its lock; when the queue has been read again, nothing can come. No
   time-out decides anything.
3. *A name that leaves right after something came to it is unverified*, until an
   event or the disk says whether it is there. A rename of a directory that may be
   the second half of an exchange is *ambiguous*, until somebody's MOVE_SELF comes.
   `_arrivals` has the table.
4. *After an overflow, all is forgotten* and the roots are scanned as in the
   beginning. Adding a watch that exists gives its old number, so the watches that no
   scan met again are known, and are removed.

5. *A root is a path.* The directories and links that it leads through are watched for
   themselves (`_ways`), so that the end of a root, and its return, are found there
   and not in its tree. Their events lie in the same queue: a scan whose root may lead
   elsewhere is not valid (`_root_tracker`).

One event's way: `_tracker` reads the queue; `_follower` asks `_watches` whose event it
is and `_scans` whether to hold it back; `_renames` decides what a rename was; `_trees`
changes the model and gives what is to be reported to `_output`.
"""

from .events import LocalChangesOnlyWarning, TreeEvent, UnreadableDirectoryWarning
from .watcher import TreeWatcher

__all__ = [
    "LocalChangesOnlyWarning",
    "TreeEvent",
    "TreeWatcher",
    "UnreadableDirectoryWarning",
]
