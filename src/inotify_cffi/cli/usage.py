"""The text of ``--help``."""

HELP = """\
Usage: inotify-cffi [OPTION]... PATH...
Report what happens to files and directories, with inotifywait's options and
output; watch whole trees; write JSON; run a command on changes.

What to watch:
  PATH                   a file or a directory
  @PATH                  leave out PATH and everything below it
  --fromfile FILE        read more PATHs and @PATHs from FILE, one per line;
                         `-' is standard input
  -r, --recursive        watch whole trees: nothing in a new directory is lost,
                         renames are followed, a file is followed by its name
  --max-depth N          with -r: watch at most N levels below a PATH
  --one-file-system      with -r: skip what is mounted below a PATH
  -P, --no-dereference   watch a symbolic link itself
  --initial              with -r: first report what is there, as CREATE

What to report:
  -e, --event EVENT      report only these events; repeatable, or
                         comma-separated
  --exclude PATTERN      skip paths that match this POSIX extended regular
  --excludei PATTERN     expression; --excludei ignores case
  --include PATTERN      report only paths that match; --includei ignores case;
  --includei PATTERN     all four are repeatable and can be combined
  --glob GLOB            report only names like '*.py', or, with a slash, paths
                         below PATH like 'src/**/*.py'; a leading ! skips them
  --gitignore            skip what git ignores; needs pathspec
  --debounce MS          wait until nothing has happened for MS milliseconds, at
                         most ten times as long; report one record per path

How to report it:
  --format FORMAT        %w watched  %f name  %e events  %Xe with X between them
                         %T time  %c cookie  %0 NUL  %n line feed  %% percent
  --timefmt FORMAT       the format of %T, for strftime(3)
  --no-newline           print nothing after --format
  -c, --csv              print comma-separated values
  --json                 print one JSON object per line: path, events, old_path,
                         cookie, synthetic, time
  -0, --null             end each record with NUL, for xargs -0; print only the
                         path, unless --format, --csv or --json is given
  -o, --outfile FILE     append to FILE instead of printing
  --stats                print a table of counts at the end, to standard error,
                         or to standard output if no records go there
  -q, --quiet            print only errors, besides records; -qq: no records
  -s, --syslog           send messages to the system log

What to run:
  --exec COMMAND         run COMMAND for each event, one after another; with
                         --debounce, once for each quiet period. {} is the path.
                         The environment has INOTIFY_PATH, INOTIFY_EVENTS and,
                         for a rename, INOTIFY_OLD_PATH. Without -e, events of
                         reading do not count
  --shell                run COMMAND with sh -c: "$1" is the path, "$@" are all
  --restart              end COMMAND if it is still running, and run it again;
                         implies -m, and --debounce 50 unless given
  --kill-after SECONDS   with --restart: send SIGKILL if SIGTERM has not ended
                         COMMAND in this time (default: 10)
  --now                  also run COMMAND at the start

When to start and end:
  -m, --monitor          continue after the first event
  -d, --daemon           with -o or --exec: run -m in the background, with -s;
                         exit with status 0 once all watches are in place
  -t, --timeout SECONDS  end if no requested event happens in this time;
                         0: never
  --for SECONDS          end after this time, whatever happens; but wait for a
                         COMMAND that runs, except with --restart
  --ready                print a READY record (with an empty path) once all
                         watches are in place
  --ready-fd N           write "ready" to descriptor N once all watches are in
                         place, and close it
  -h, --help             show the options
  --version              show the version

Events: access modify attrib close_write close_nowrite close open moved_to
  moved_from move move_self create delete delete_self unmount. Q_OVERFLOW is
  always reported: events are missing. With -r, CREATEs then report what is
  there.

Exit status:
  0  a requested event happened
  1  an error, or nothing is left to watch
  2  the time of --timeout is over, or that of --for without an event
  Ctrl-C, SIGTERM, SIGHUP and a closed pipe end it as they end any program.

Examples:
  inotify-cffi -mr -e create,move,delete,close_write src
  inotify-cffi -mrq --json -e create,move,delete /srv/incoming | jq -r .path
  inotify-cffi -mq -0 -e close_write,moved_to spool | xargs -0 -n1 ./process
  inotify-cffi -mr --glob '*.py' --debounce 100 --exec 'pytest -q' src tests
"""
