"""Misuses the public names, once a line: mypy finds an error in each."""

import inotify_cffi
from inotify_cffi import Event, INotify, TreeWatcher, flags, mask_str, syscalls

INotify().add_watch(1, flags.CREATE)
INotify().add_watch("path", "CREATE")
INotify().rm_watch("1")
INotify().read(timeout="1")
INotify(path="path")
Event(1, 2, 3)
Event(1, 2, 3, b"name")
mask_str("CREATE")
flags.from_mask("CREATE")
flags.NO_SUCH_FLAG
syscalls.init1("IN_CLOEXEC")
syscalls.add_watch(1, 2, 3)
syscalls.read_events("1")
inotify_cffi.no_such_name
TreeWatcher(1)
