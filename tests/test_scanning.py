"""Many directories watched and listed by one call into C, when all goes well or not."""

from __future__ import annotations

import errno
import os
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, NamedTuple

import pytest

from inotify_cffi import INotify, flags
from inotify_cffi._inotify import ffi, lib
from inotify_cffi.instance import pointer_to

if TYPE_CHECKING:
    from conftest import RunPython

MASK = flags.CREATE | flags.DELETE | flags.MASK_ADD
WAY = flags.MOVE_SELF | flags.MASK_ADD | flags.ONLYDIR | flags.DONT_FOLLOW
WAY_ENDS = WAY | flags.ATTRIB
SECOND = 10**9  # ns
MANY = 10**6
ALL = lib.SCAN_DESCEND
DIRECTORIES = lib.SCAN_ONLY_DIRECTORIES
NOT_REACHED = lib.SCAN_NOT_REACHED
NO_DIRECTORY = lib.SCAN_NO_DIRECTORY


class Entry(NamedTuple):
    """A scan's result for one name, or for one of the given paths."""

    parent: int
    name: str
    wd: int
    result: int


class Scanner:
    """Scans by the C function itself, with every argument at the test's choice."""

    def __init__(self, inotify: INotify) -> None:
        # What the tests need is below the public names: a scan that C has made,
        # before anything in Python has used it.
        self.instance = pointer_to(inotify)
        self.memory = ffi.new("struct scan *")

    def scan(
        self,
        *paths: str | os.PathLike[str],
        how: int = 0,
        limit: int = MANY,
        nanoseconds: int = 600 * SECOND,
    ) -> list[Entry]:
        given = b"".join(os.fsencode(path) + b"\0" for path in paths)
        result = lib.scan_run(
            self.memory, self.instance, given, len(given), MASK, how, limit, nanoseconds
        )
        assert result == 0
        scan = self.memory
        assert scan.given == len(paths)
        names = (
            bytes(ffi.buffer(scan.names, scan.names_size)) if scan.names_size else b""
        )
        found = [os.fspath(path) for path in paths]
        found += map(os.fsdecode, names.split(b"/")[:-1])
        parents = [-1] * scan.given
        for group in range(scan.groups):
            size = scan.group_end[group] - len(parents)
            parents += [scan.group_of[group]] * size
        assert len(parents) == len(found) == scan.count
        wds, results = scan.wds[0 : scan.count], scan.results[0 : scan.count]
        return [*map(Entry, parents, found, wds, results)]

    def way(self, path: str | os.PathLike[str]) -> list[tuple[int, int]]:
        """Watch a way; return the watches that were added, with their results."""
        given = os.fsencode(path)
        assert not lib.scan_way(self.memory, self.instance, given, WAY, WAY_ENDS)
        scan = self.memory
        return [(scan.wds[each], scan.results[each]) for each in range(scan.count)]


@pytest.fixture
def scanner(inotify: INotify) -> Iterator[Scanner]:
    """A scanner over an instance of its own."""
    scanner = Scanner(inotify)
    yield scanner
    lib.scan_free(scanner.memory)


def path_of(entries: list[Entry], number: int) -> str:
    parent, name, _, _ = entries[number]
    return name if parent < 0 else f"{path_of(entries, parent)}/{name}"


def found_in(entries: list[Entry]) -> dict[str, int]:
    """Every path with its result."""
    return {path_of(entries, number): one.result for number, one in enumerate(entries)}


def inodes(inotify: INotify) -> dict[int, int]:
    return {watch.wd: watch.inode for watch in inotify.watches()}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Directories in three levels, with other things in them."""
    root = tmp_path / "root"
    for path in ("a/b/c", "a/d", "e", "\udcff"):
        os.makedirs(root / path)
    for path in ("a/file", "a/b/file", "e/.hidden"):
        (root / path).touch()
    (root / "link").symlink_to("a")
    os.mkfifo(root / "fifo")
    return root


# ---- what it finds ------------------------------------------------------------------


def test_each_directory_is_watched(
    scanner: Scanner, inotify: INotify, tree: Path
) -> None:
    """The watch of an entry is that of the directory at its path."""
    entries = scanner.scan(tree, how=ALL)
    watched = inodes(inotify)
    directories = 0
    for number, entry in enumerate(entries):
        if entry.result == 0:
            directories += 1
            assert watched[entry.wd] == os.stat(path_of(entries, number)).st_ino
        else:
            assert (entry.wd, entry.result) == (0, NO_DIRECTORY)
    assert len(watched) == directories == 7


def test_everything_is_found(scanner: Scanner, tree: Path) -> None:
    """Every name below a directory is found, once, as what it is."""
    found = found_in(scanner.scan(tree, how=ALL))
    expected = {str(tree): 0}
    for place, directories, others in os.walk(tree):
        expected.update({f"{place}/{name}": 0 for name in directories})
        expected.update({f"{place}/{name}": NO_DIRECTORY for name in others})
    expected[f"{tree}/link"] = NO_DIRECTORY
    assert found == expected


def test_only_directories(scanner: Scanner, tree: Path) -> None:
    """Asked for directories alone, it names nothing else, and no link to one."""
    found = found_in(scanner.scan(tree, how=ALL | DIRECTORIES))
    names = ["", "/a", "/a/b", "/a/b/c", "/a/d", "/e", "/\udcff"]
    assert found == {f"{tree}{name}": 0 for name in names}


def test_given_directories_alone(scanner: Scanner, tree: Path) -> None:
    """Without SCAN_DESCEND, what it finds is named, and not watched."""
    entries = scanner.scan(tree / "a", tree / "e")
    assert [entry.result for entry in entries[:2]] == [0, 0]
    assert {(parent, name, wd) for parent, name, wd, _ in entries[2:]} == {
        (0, "b", 0),
        (0, "d", 0),
        (0, "file", 0),
        (1, ".hidden", 0),
    }
    results = {name: result for _, name, _, result in entries[2:]}
    assert results == {
        "b": NOT_REACHED,
        "d": NOT_REACHED,
        "file": NO_DIRECTORY,
        ".hidden": NO_DIRECTORY,
    }


def test_the_order_of_entries(scanner: Scanner, tree: Path) -> None:
    """A directory comes before what is in it, and what is in it is together."""
    parents = [entry.parent for entry in scanner.scan(tree, tree / "a", how=ALL)]
    assert parents[:2] == [-1, -1]
    assert all(parent < number for number, parent in enumerate(parents))
    runs = [
        parent
        for number, parent in enumerate(parents)
        if not number or parents[number - 1] != parent
    ]
    assert len(runs) == len(set(runs))


def test_many_names(scanner: Scanner, tmp_path: Path) -> None:
    """A directory that takes more than one system call to read is found whole."""
    names = {f"{number:0200}" for number in range(2000)}
    for name in names:
        os.mknod(tmp_path / name)
    entries = scanner.scan(tmp_path)
    assert {entry.name for entry in entries[1:]} == names
    assert len(entries) == 2001


def test_the_root_of_the_file_system(scanner: Scanner) -> None:
    """The path "/" is joined with names as any other."""
    entries = scanner.scan("/", how=ALL | DIRECTORIES, limit=3)
    assert [entry.result for entry in entries].count(0) >= 1
    assert "/proc" in {f"/{entry.name}" for entry in entries[1:]}


def test_the_same_directory_twice(scanner: Scanner, tree: Path) -> None:
    """A directory that is met again has the watch that it has already."""
    first, second, *rest = scanner.scan(tree / "a/d", tree / "a/d")
    assert first.wd == second.wd > 0
    assert rest == []


def test_nothing(scanner: Scanner) -> None:
    """Without a path, nothing is found."""
    assert scanner.scan() == []


def test_memory_is_used_again(scanner: Scanner, tree: Path) -> None:
    """A scan begins anew, also after its memory was freed, twice."""
    first = scanner.scan(tree, how=ALL)
    assert scanner.scan(tree, how=ALL) == first
    lib.scan_free(scanner.memory)
    lib.scan_free(scanner.memory)
    assert scanner.memory.count == 0
    assert scanner.scan(tree, how=ALL) == first


def test_what_no_nul_ends(scanner: Scanner, tree: Path) -> None:
    """A path that no NUL ends is not read beyond the size that was given."""
    given = os.fsencode(tree) + b"\0" + os.fsencode(tree)
    arguments = (given, len(given), MASK, 0, MANY, SECOND)
    assert lib.scan_run(scanner.memory, scanner.instance, *arguments) == 0
    assert scanner.memory.given == 1


# ---- links --------------------------------------------------------------------------


def test_a_given_link(scanner: Scanner, inotify: INotify, tree: Path) -> None:
    """A given path that ends in a link is refused, and with SCAN_FOLLOW followed."""
    assert scanner.scan(tree / "link")[0].result == errno.ENOTDIR
    assert inotify.watches() == []
    first, *found = scanner.scan(tree / "link", how=lib.SCAN_FOLLOW)
    assert inodes(inotify)[first.wd] == os.stat(tree / "a").st_ino
    assert {entry.name for entry in found} == {"b", "d", "file"}


def test_links_that_are_found(scanner: Scanner, inotify: INotify, tree: Path) -> None:
    """SCAN_FOLLOW concerns the given paths: what is found is not followed."""
    (tree / "a/b/up").symlink_to("../../e")
    found = found_in(scanner.scan(tree / "a", how=ALL | lib.SCAN_FOLLOW))
    assert found[f"{tree}/a/b/up"] == NO_DIRECTORY
    assert os.stat(tree / "e").st_ino not in inodes(inotify).values()


# ---- how far it goes ----------------------------------------------------------------


def test_the_number_of_directories(
    scanner: Scanner, inotify: INotify, tree: Path
) -> None:
    """It scans as many directories as it may, and names those that it did not reach."""
    for limit in range(8):
        entries = scanner.scan(tree, how=ALL | DIRECTORIES, limit=limit)
        results = [entry.result for entry in entries]
        assert results.count(0) == min(limit, 7)
        assert set(results) <= {0, NOT_REACHED}
        assert all(entry.wd == 0 for entry in entries if entry.result)
    assert len(inotify.watches()) == 7


def test_the_time(scanner: Scanner, tree: Path) -> None:
    """When there is no time left it scans one directory, so that it gets on."""
    for nanoseconds in (0, -SECOND):
        first, *found = scanner.scan(tree, how=ALL, nanoseconds=nanoseconds)
        assert first.result == 0
        assert {entry.result for entry in found} == {NOT_REACHED, NO_DIRECTORY}


def test_slices_of_a_tree(scanner: Scanner, inotify: INotify, tree: Path) -> None:
    """The directories that were not reached, given again, complete the tree."""
    scanned = set()
    unscanned = [str(tree)]
    while unscanned:
        entries = scanner.scan(*unscanned, how=ALL | DIRECTORIES, limit=2)
        found = found_in(entries)
        scanned |= {path for path, result in found.items() if result == 0}
        unscanned = [path for path, result in found.items() if result == NOT_REACHED]
    assert len(scanned) == len(inotify.watches()) == 7


# ---- what fails concerns one directory ----------------------------------------------


def test_errors_of_single_directories(scanner: Scanner, tree: Path) -> None:
    """A missing path, or a file, has its errno; the others are scanned."""
    first, gone, file, last, *found = scanner.scan(
        tree / "e", tree / "gone", tree / "a/file", tree / "a/d"
    )
    assert (gone.result, gone.wd) == (errno.ENOENT, 0)
    assert (file.result, file.wd) == (errno.ENOTDIR, 0)
    assert (first.result, last.result) == (0, 0)
    assert [(entry.parent, entry.name) for entry in found] == [(0, ".hidden")]


@contextmanager
def _deep(tmp_path: Path) -> Iterator[int]:
    """A descriptor of tmp_path/xxx.../.../xxx, which has no path for the kernel."""
    name = "x" * 250
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        for _ in range(20):
            os.mkdir(name, dir_fd=fd)
            below = os.open(name, os.O_RDONLY, dir_fd=fd)
            os.close(fd)
            fd = below
        yield fd
    finally:
        os.close(fd)
        shutil.rmtree(tmp_path / name)


def test_paths_beyond_path_max(
    scanner: Scanner, inotify: INotify, tmp_path: Path
) -> None:
    """A path that is too long has its errno, and is scanned from an open directory."""
    with _deep(tmp_path) as fd:
        os.mkdir("y", dir_fd=fd)
        entries = scanner.scan(tmp_path, how=ALL)
        assert [entry.result for entry in entries[:-1]] == [0] * (len(entries) - 1)
        assert (entries[-1].wd, entries[-1].result) == (0, errno.ENAMETOOLONG)
        assert len(entries) < 20
        deep, y = scanner.scan(f"/proc/self/fd/{fd}/.", how=ALL)
        assert (deep.result, y.result) == (0, 0)
        assert inodes(inotify)[deep.wd] == os.fstat(fd).st_ino
        assert inodes(inotify)[y.wd] == os.stat("y", dir_fd=fd).st_ino
    (too_long,) = scanner.scan(f"{tmp_path}/{'x/' * 3000}")
    assert too_long.result == errno.ENAMETOOLONG


def test_the_longest_path(scanner: Scanner, tmp_path: Path) -> None:
    """A path as long as the kernel takes is scanned, and a longer one is not."""
    longest = os.pathconf("/", "PC_PATH_MAX") - 1
    path = str(tmp_path)
    while longest - len(path) > 256:
        path += "/" + "d" * 200
    rest = longest - len(path) - 1
    path = f"{path}/{'d' * (rest // 2)}"
    os.makedirs(path)
    for length in (longest - len(path) - 1, longest - len(path)):
        fd = os.open(path, os.O_RDONLY)
        os.mkdir("e" * length, dir_fd=fd)
        os.close(fd)
    results = {
        entry.name: entry.result for entry in scanner.scan(path, how=ALL | DIRECTORIES)
    }
    results.pop(path)
    assert {len(path) + 1 + len(name): result for name, result in results.items()} == {
        longest: 0,
        longest + 1: errno.ENAMETOOLONG,
    }


# Run by an ordinary user: nothing keeps root from reading.
UNREADABLE = """
    import os, shutil, sys, tempfile
    sys.path.insert(0, sys.argv[1])
    from test_scanning import ALL, INotify, Scanner
    root = tempfile.mkdtemp()
    if os.geteuid() == 0:
        os.chown(root, 65534, 65534)
        os.setgid(65534)
        os.setuid(65534)
    for name in ("a", "locked/in", "z"):
        os.makedirs(f"{root}/{name}")
    os.chmod(f"{root}/locked", 0)
    with INotify() as inotify:
        for _, name, wd, result in sorted(Scanner(inotify).scan(root, how=ALL)[1:]):
            print(name, result, "watched" if wd else "-")
    os.chmod(f"{root}/locked", 0o700)
    shutil.rmtree(root)
    """


def test_no_permission(run_python: RunPython) -> None:
    """An unreadable directory has EACCES and no watch; the others are scanned."""
    printed = run_python(UNREADABLE, Path(__file__).parent)
    assert printed == f"a 0 watched\nlocked {errno.EACCES} -\nz 0 watched\n"


# ---- what fails for one fails for all -----------------------------------------------


def test_without_descriptors(
    scanner: Scanner, tree: Path, inotify: INotify, run_python: RunPython
) -> None:
    """EMFILE ends the scan: the rest is not reached."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    spare = os.open("/", os.O_RDONLY)
    os.close(spare)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (spare, limits[1]))
        first, second = scanner.scan(tree / "a", tree / "e", how=ALL)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert (first.result, second.result) == (errno.EMFILE, NOT_REACHED)
    assert first.wd > 0  # it was watched before it could not be listed


def test_the_limit_of_watches(
    run_python: RunPython, user_namespace: list[str], tree: Path
) -> None:
    """ENOSPC ends the scan: the rest is not reached."""
    code = """
        import sys
        sys.path.insert(0, sys.argv[2])
        from test_scanning import ALL, DIRECTORIES, INotify, Scanner
        with open("/proc/sys/user/max_inotify_watches", "w") as limit:
            limit.write("3")
        with INotify() as inotify:
            entries = Scanner(inotify).scan(sys.argv[1], how=ALL | DIRECTORIES)
            print(*sorted(entry.result for entry in entries))
            print(len(inotify.watches()))
        """
    printed = run_python(code, tree, Path(__file__).parent, prefix=user_namespace)
    results, watches = printed.splitlines()
    assert [int(result) for result in results.split()][-1] == errno.ENOSPC
    assert results.split().count("0") == int(watches) == 3


def test_a_closed_instance(scanner: Scanner, inotify: INotify, tree: Path) -> None:
    """Nothing is watched through an instance that is closed."""
    inotify.close()
    first, second = scanner.scan(tree / "a", tree / "e", how=ALL)
    assert (first.result, second.result) == (lib.GUARD_CLOSED, NOT_REACHED)


# ---- ways ---------------------------------------------------------------------------


def test_the_directories_of_a_way(
    scanner: Scanner, inotify: INotify, tree: Path
) -> None:
    """Each directory that a path leads through is watched, the last one for more."""
    way = scanner.way(tree / "a/b/c")
    places = [tree / "a/b/c", *(tree / "a/b/c").parents][-2::-1]
    masks = {watch.wd: watch.mask for watch in inotify.watches()}
    assert [result for _, result in way] == [0] * len(places)
    found = [inodes(inotify)[wd] for wd, _ in way]
    assert found == [os.stat(place).st_ino for place in places]
    wanted = {wd: int(flags.MOVE_SELF) for wd, _ in way}
    wanted[way[-1][0]] |= flags.ATTRIB
    kept = flags.MOVE_SELF | flags.ATTRIB
    assert {wd: mask & kept for wd, mask in masks.items()} == wanted


@pytest.mark.parametrize("end", ["a/file", "link", "link/b", "missing/x", "a/\udcff/b"])
def test_what_ends_a_way(scanner: Scanner, tree: Path, end: str) -> None:
    """A way ends before a file, a link, and a name that is not there."""
    above = tree / "a" if end.startswith("a/") else tree
    assert scanner.way(tree / end) == scanner.way(above)


@pytest.mark.parametrize("path", ["/", "/" + "x/" * 2048])
def test_ways_without_a_watch(scanner: Scanner, inotify: INotify, path: str) -> None:
    """The root of the file system needs no watch; too long a path gets none."""
    assert scanner.way(path) == []
    assert inotify.watches() == []


def test_the_way_of_a_closed_instance(
    scanner: Scanner, inotify: INotify, tree: Path
) -> None:
    """Nothing is watched through an instance that is closed."""
    inotify.close()
    assert scanner.way(tree) == []


def test_a_scan_after_a_way(scanner: Scanner, tree: Path) -> None:
    """A way leaves nothing in the memory that a scan would return."""
    scanner.way(tree)
    assert found_in(scanner.scan(tree / "a/d")) == {str(tree / "a/d"): 0}


# ---- what happens in between, or is refused in the middle ---------------------------

# Before the C library's functions: ON_WATCH is a command that is run when the
# directory WHERE was watched and is not listed yet; getdents64 has no types, fails
# at the COUNTth call with FAILING, or lists a name that vanishes.
INTERPOSED = r"""
    #define _FILE_OFFSET_BITS 64 /* what getdents64 fills in */
    #define _GNU_SOURCE
    #include <dirent.h>
    #include <dlfcn.h>
    #include <errno.h>
    #include <stdarg.h>
    #include <stdint.h>
    #include <stdlib.h>
    #include <string.h>
    #include <sys/inotify.h>
    #include <sys/syscall.h>
    #include <unistd.h>

    int inotify_add_watch(int fd, const char *path, uint32_t mask)
    {
        int (*real)(int, const char *, uint32_t) =
            dlsym(RTLD_NEXT, "inotify_add_watch");
        const char *where = getenv("WHERE");
        if (where && getenv("REFUSED") && !strcmp(path, where)) {
            errno = atoi(getenv("REFUSED"));
            return -1;
        }
        int wd = real(fd, path, mask);
        if (where && getenv("ON_WATCH") && !strcmp(path, where)) {
            unsetenv("WHERE");
            if (system(getenv("ON_WATCH")))
                abort();
        }
        return wd;
    }

    long syscall(long number, ...)
    {
        va_list list;
        long a[6];
        va_start(list, number);
        for (int i = 0; i < 6; i++)
            a[i] = va_arg(list, long);
        va_end(list);
        long (*real)(long, ...) = dlsym(RTLD_NEXT, "syscall");
        static int calls;
        const char *vanishing = getenv("VANISHING");
        if (number == SYS_getdents64 && getenv("FAILING")
            && ++calls == atoi(getenv("COUNT"))) {
            errno = atoi(getenv("FAILING"));
            return -1;
        }
        long result = real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
        if (number == SYS_getdents64 && getenv("NO_KINDS")) {
            for (long at = 0; at < result;) {
                struct dirent *entry = (struct dirent *)((char *)a[1] + at);
                entry->d_type = DT_UNKNOWN;
                if (vanishing && !strcmp(entry->d_name, "vanishing"))
                    rmdir(vanishing);
                at += entry->d_reclen;
            }
        }
        return result;
    }
    """

PROGRAM = """
    import os, sys
    sys.path.insert(0, sys.argv[2])
    from test_scanning import ALL, INotify, Scanner, inodes, path_of
    first = os.open("/", os.O_RDONLY)
    os.close(first)
    with INotify() as inotify:
        scanner = Scanner(inotify)
        if "WAY" in os.environ:
            for wd, result in scanner.way(os.environ["WAY"]):
                inode = inodes(inotify)[wd]
                print(inode if inode == os.stat(sys.argv[1]).st_ino else "-", result)
            sys.exit()
        entries = scanner.scan(sys.argv[1], how=ALL)
        for number, entry in enumerate(entries):
            path = path_of(entries, number)[len(sys.argv[1]):] or "/"
            watched = entry.wd in inodes(inotify)
            print(ascii(path), entry.result, "watched" if watched else "-")
    assert os.open("/", os.O_RDONLY) == first
    """

ScanInterposed = Callable[..., "list[str]"]


@pytest.fixture
def scan_interposed(
    run_python: RunPython, compile_c: Callable[..., Path]
) -> ScanInterposed:
    """The function that scans a tree with the functions above."""
    library = compile_c(INTERPOSED, "-shared", "-fPIC")
    preload = f"{os.environ.get('LD_PRELOAD', '')} {library}"

    def scan(root: Path, **environment: Any) -> list[str]:
        variables = {name: str(value) for name, value in environment.items()}
        printed = run_python(
            PROGRAM,
            root,
            Path(__file__).parent,
            env={"LD_PRELOAD": preload, **variables},
        )
        return sorted(printed.splitlines())

    return scan


def test_no_kinds(scan_interposed: ScanInterposed, tree: Path) -> None:
    """If the file system has no types of entries, each name is looked up."""
    shutil.rmtree(tree / "a/b")
    assert scan_interposed(tree, NO_KINDS=1) == [
        "'/' 0 watched",
        "'/\\udcff' 0 watched",
        "'/a' 0 watched",
        "'/a/d' 0 watched",
        f"'/a/file' {NO_DIRECTORY} -",
        "'/e' 0 watched",
        f"'/e/.hidden' {NO_DIRECTORY} -",
        f"'/fifo' {NO_DIRECTORY} -",
        f"'/link' {NO_DIRECTORY} -",
    ]


def test_gone_before_it_is_looked_up(
    scan_interposed: ScanInterposed, tmp_path: Path
) -> None:
    """A name that is gone before its type is looked up is not a directory."""
    vanishing = tmp_path / "vanishing"
    vanishing.mkdir()
    found = scan_interposed(tmp_path, NO_KINDS=1, VANISHING=vanishing)
    assert found == ["'/' 0 watched", f"'/vanishing' {NO_DIRECTORY} -"]
    assert not vanishing.exists()


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOENT])
def test_reading_that_fails(
    scan_interposed: ScanInterposed, tmp_path: Path, number: int
) -> None:
    """A failure to read on is no end: the directory has that errno, and no names."""
    for name in ("a/sub", "a/sub2"):
        (tmp_path / name).mkdir(parents=True)
    # Two calls list the root; the third finds what is in "a"; the fourth fails.
    found = scan_interposed(tmp_path, FAILING=number, COUNT=4)
    assert found == ["'/' 0 watched", f"'/a' {number} watched"]


def test_a_signal_while_it_reads(
    scan_interposed: ScanInterposed, tmp_path: Path
) -> None:
    """A signal ends the scan, so that its handler runs; the rest is not reached."""
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
    found = scan_interposed(tmp_path, FAILING=errno.EINTR, COUNT=3)
    results = sorted(int(line.split()[1]) for line in found)
    assert results == [NOT_REACHED, NOT_REACHED, 0, errno.EINTR]


def test_a_watch_that_is_refused(scan_interposed: ScanInterposed, tree: Path) -> None:
    """A directory that cannot be watched is not listed; the others are."""
    where = tree / "a/b"
    found = scan_interposed(tree, WHERE=where, REFUSED=errno.EIO)
    assert f"'/a/b' {errno.EIO} -" in found
    assert "'/a/d' 0 watched" in found
    assert not any("/a/b/" in line for line in found)


def test_it_watches_before_it_lists(
    scan_interposed: ScanInterposed, tree: Path
) -> None:
    """Names created once the watch exists are listed: none is missed in between."""
    found = scan_interposed(
        tree, WHERE=tree / "a/d", ON_WATCH=f"mkdir '{tree}/a/d/new'"
    )
    assert "'/a/d/new' 0 watched" in found


def test_a_directory_that_vanishes(scan_interposed: ScanInterposed, tree: Path) -> None:
    """A directory removed between watch and listing has its errno."""
    found = scan_interposed(tree, WHERE=tree / "a/d", ON_WATCH=f"rmdir '{tree}/a/d'")
    assert f"'/a/d' {errno.ENOENT} -" in found


def test_a_link_that_is_swapped_in(scan_interposed: ScanInterposed, tree: Path) -> None:
    """A link that takes a directory's place between watch and listing is refused."""
    place = tree / "a/d"
    (tree.parent / "other/secret").mkdir(parents=True)
    swap = f"rmdir '{place}' && ln -s '{tree.parent}/other' '{place}'"
    found = scan_interposed(tree, WHERE=place, ON_WATCH=swap)
    results = [line for line in found if line.startswith("'/a/d")]
    assert results == [f"'/a/d' {errno.ENOTDIR} -"]


@pytest.mark.parametrize(
    ("change", "left"),
    [("mv '{0}' '{0}.old' && mkdir '{0}'", 2), ("mv '{0}' '{0}.old'", 1)],
)
def test_a_way_that_changes(
    scan_interposed: ScanInterposed, tree: Path, change: str, left: int
) -> None:
    """A directory that is replaced while it is watched is not taken for the path's.

    Every watch that was added is returned, so that it can be removed.
    """
    place = tree / "a/b"
    found = scan_interposed(
        tree, WAY=place / "c", WHERE=place, ON_WATCH=change.format(place)
    )
    inode = os.stat(tree).st_ino
    above = len(tree.parents) + 1  # without "/", with "a"
    assert found.count(f"- {errno.EAGAIN}") == left
    assert found.count(f"{inode} 0") == 1
    assert len(found) == above + left
