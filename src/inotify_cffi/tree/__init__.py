"""`TreeWatcher`: the events of whole trees.

How a tree can be followed
==========================

**The kernel's model.** inotify watches inodes, not paths, and a watch on a directory
does not reach below it. For each watched directory the kernel queues what happens in
it, completely and in order: a change holds the lock of the directory until its event
is in the queue. rename(2) holds the locks of both directories and queues MOVED_FROM
and MOVED_TO, with one cookie; then, without these locks, MOVE_SELF of what moved.
The queue has no events from before a watch was added. When the queue is full, the
kernel queues one event without a watch, and drops the following events until that is
read.

**What goes wrong.** Four problems, which every watcher of trees has:

1. *A new directory is not empty.* Between the CREATE of a directory and our watch on
   it, changes in it have no event. So the directory has to be scanned. But a scan shows
   the present, and the queue is still in the past: the events of what the scan finds
   may be queued as well, and the path of the directory may lead to another one by now.
2. *A rename is two events.* The second one may be missing: the rename left the trees,
   or led into a directory that was not watched yet.
3. *An exchange looks like two renames* (RENAME_EXCHANGE): x to y, then y to x. But
   then y still exists, and the events do not show which of two directories moved.
4. *The queue overflows.* Then the model may be wrong anywhere.

**The decisions.**

1. *Scan: watch, list, then put a fence into the queue.* A fence is a watch that is
   added and removed; its IGNORED comes behind the events of everything that the listing
   can have seen. The *window* of the scan ends at the fence. (If the queue is empty
   after the listing, the window ends there: whatever is queued later has happened
   later.) In the window, events of that directory are *held back*, since the listing
   may include them already. At its end, the scan is *valid* if nothing in the window
   moved or removed the directory or one above it: all directories above are watched,
   so its path led to it. An invalid scan is discarded and repeated; nothing of it was
   reported. For a valid scan, the events that were held back are applied to the
   listing. The result is the content of the directory at the end of the window. It is
   reported as synthetic CREATEs, and the directories in it are scanned next. From then
   on, the kernel's own events of this directory are complete.

   A rename from a known directory into one that is being scanned is reported at once
   if nothing later in this window invalidates the scan. From then on, that name's
   events are reported directly. Otherwise the rename would be reported after later
   events of the same thing elsewhere.
2. *The first event of a rename is pending until there is proof.* Another structural
   event of the same directory, or the MOVE_SELF of the moved directory, shows that no
   second event comes. If the queue ends before that, the directory is listed once,
   which waits for its lock. When the queue has been read again, no second event can
   come. No timeout is involved.
3. *If a name leaves directly after something came to it, it is unverified*, until an
   event or the disk shows whether it exists. A rename of a directory that may be the
   second half of an exchange is *ambiguous*, until a MOVE_SELF comes. `_arrivals` has
   the table.
4. *After an overflow, everything is forgotten* and the roots are scanned as in the
   beginning. Adding a watch that exists returns its old number. So the watches that no
   scan met again are known, and are removed.
5. *A root is a path.* The directories and links that it leads through are watched for
   themselves (`_ways`). So the end of a root, and its return, are found there and not
   in its tree. Their events are in the same queue: if a root may lead elsewhere, a scan
   of it is not valid (`_root_tracker`).

The way of an event: `_tracker` reads the queue; `_follower` finds its owners in
`_watches` and lets `_scans` hold it back; `_renames` decides about renames; `_trees`
changes the model and passes the reports to `_output`.
"""

from .events import LocalChangesOnlyWarning, TreeEvent, UnreadableDirectoryWarning
from .watcher import TreeWatcher

__all__ = [
    "LocalChangesOnlyWarning",
    "TreeEvent",
    "TreeWatcher",
    "UnreadableDirectoryWarning",
]
