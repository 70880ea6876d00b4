"""What ``--help`` shows."""

HELP = """\
Usage: inotify-cffi [OPTION]... PATH...
Report what happens to files and directories: inotifywait's options and lines,
trees without gaps, JSON, a command for each change.

What is watched:
  PATH                   a file or a directory
  @PATH                  leave this out, with all below it
  --fromfile FILE        read more PATHs and @PATHs, one a line; `-': stdin
  -r, --recursive        watch whole trees: nothing in a new directory is lost,
                         renames are followed, a file is followed by its name
  --max-depth N          with -r: no more than N levels below a PATH
  --one-file-system      with -r: nothing that is mounted below a PATH
  -P, --no-dereference   watch a symbolic link itself
  --initial              with -r: report first, as CREATE, what is there already

What is reported:
  -e, --event EVENT      report only these events; repeatable, or with commas
  --exclude PATTERN      skip paths that match this POSIX extended regular
  --excludei PATTERN     expression; --excludei ignores case
  --include PATTERN      report only paths that match; --includei ignores case;
  --includei PATTERN     all four are repeatable and can be combined
  --glob GLOB            report only names like '*.py', or, with a slash, paths
                         below PATH like 'src/**/*.py'; a leading ! skips them
  --gitignore            skip what git ignores; needs pathspec
  --debounce MS          wait until nothing has happened for so long, or ten
                         times as long in all; then one record for a path

How it is reported:
  --format FORMAT        %w watched  %f name  %e events  %Xe with X between them
                         %T time  %c cookie  %0 NUL  %n line feed  %% percent
  --timefmt FORMAT       of %T, as strftime(3) has it
  --no-newline           nothing at the end of --format
  -c, --csv              comma-separated values
  --json                 a JSON object a line: path, events, old_path, cookie,
                         synthetic, time
  -0, --null             end each record with NUL; it is the path alone, unless
                         --format, --csv or --json is given: for xargs -0
  -o, --outfile FILE     append to FILE instead of standard output
  --stats                a table at the end, on standard error; on standard
                         output where no records go there
  -q, --quiet            no messages but errors; -qq: no events either
  -s, --syslog           messages go to the system's log

What is run:
  --exec COMMAND         run COMMAND for each event, one after the other, and
                         for each --debounce once; {} is the path. It has also
                         INOTIFY_PATH, INOTIFY_EVENTS and, of a rename,
                         INOTIFY_OLD_PATH in its environment. Without -e,
                         events of reading do not count
  --shell                COMMAND is for sh: the path is "$1", and all are "$@"
  --restart              end what still runs (SIGTERM), and run it again; with
                         -m, and --debounce 50 unless that is given
  --kill-after SECONDS   what --restart has not ended then gets SIGKILL; 10
  --now                  run it at the start, too

When it starts and ends:
  -m, --monitor          continue after the first event
  -d, --daemon           with -o or --exec: -m in the background, and -s; ends
                         with status 0 when all is watched
  -t, --timeout SECONDS  end when nothing happens for so long; 0: never
  --for SECONDS          end after so long, whatever happens
  --ready                print a READY record (with an empty path) once all
                         watches are in place
  --ready-fd N           then write "ready" to descriptor N, and close it
  -h, --help             show this
  --version              show the version

Events: access modify attrib close_write close_nowrite close open moved_to
  moved_from move move_self create delete delete_self unmount; and always
  Q_OVERFLOW: events are missing. With -r, CREATEs say what is there then.

Exit status:
  0  a requested event happened
  1  an error, or nothing is left to watch
  2  the time of --timeout is over, or that of --for without an event
  A signal (Ctrl-C, SIGTERM, a closed pipe) ends it as it ends any program.

Examples:
  inotify-cffi -mr -e create,move,delete,close_write src
  inotify-cffi -mrq --json -e create,move,delete /srv/incoming | jq -r .path
  inotify-cffi -mq -0 -e close_write,moved_to spool | xargs -0 -n1 ./process
  inotify-cffi -mr --glob '*.py' --debounce 100 --exec 'pytest -q' src tests
"""
