"""Whether a folder lies on a disk that other hosts write as well, where SQLite's locks cannot be trusted."""

from __future__ import annotations

import re
from pathlib import Path

LOCAL_DATABASE = "put it on a disk of this host: export MLFLOW_TRACKING_URI=sqlite:////PATH/mlflow.db"
"""What can be done about it."""

_NETWORK = frozenset(
    {
        *("nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ncpfs", "9p", "lustre", "beegfs", "gpfs", "ceph", "gfs2"),
        *("ocfs2", "glusterfs", "orangefs", "pvfs2", "fuse.sshfs", "fuse.glusterfs", "fuse.ceph", "fuse.juicefs"),
    }
)
_ESCAPED = re.compile(r"\\([0-7]{3})")
MOUNTS = Path("/proc/self/mounts")
"""What is mounted where, one line each; elsewhere than on Linux it is not there."""


def network_disk(path: Path) -> str | None:
    """Return the kind of network disk that `path` lies on, such as nfs4; None on a local one, or when unknown."""
    try:
        lines = MOUNTS.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return None
    place, best, kind = path.resolve(), -1, ""
    for line in lines:
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        point = Path(_ESCAPED.sub(lambda octal: chr(int(octal[1], 8)), fields[1]))
        if place.is_relative_to(point) and len(point.parts) >= best:  # the later of two at one place hides the other
            best, kind = len(point.parts), fields[2]
    return kind if kind in _NETWORK else None
