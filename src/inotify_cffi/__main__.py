import sys

# `python -m` puts the current directory first, and a signal.py or an enum.py there must
# not be imported. The package itself has been found, and has imported nothing else yet.
if __name__ == "__main__" and not (
    sys.flags.isolated or getattr(sys.flags, "safe_path", False)
):
    del sys.path[0]

from .cli import main

if __name__ == "__main__":
    main()
