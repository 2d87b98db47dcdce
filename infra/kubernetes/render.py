"""What `kustomize build` makes of each overlay, written to rendered/: `python infra/kubernetes/render.py`.

Tests look at what is rendered, and notice by the digest in its first line when a source has changed since.
Needs kustomize 5 on the PATH (`go install sigs.k8s.io/kustomize/kustomize/v5@v5.4.3`).
"""

import hashlib
import subprocess
from pathlib import Path

HERE = Path(__file__).parent
SOURCES = ("base", "components", "overlays")
OVERLAYS = ("cpu", "gpu", "secured")


def digest() -> str:
    """Of all sources: names and contents."""
    sources = (path for name in ("base", "components", "overlays") for path in (HERE / name).rglob("*.*"))
    content = b"".join(
        b"%s\n%s" % (str(path.relative_to(HERE)).encode(), path.read_bytes()) for path in sorted(sources)
    )
    return hashlib.sha256(content).hexdigest()


def main() -> None:
    for overlay in OVERLAYS:
        command = ["kustomize", "build", str(HERE / "overlays" / overlay)]
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)  # noqa: S603  # our own folders
        (HERE / "rendered" / f"{overlay}.yaml").write_text(f"# sources: {digest()}\n{done.stdout}", encoding="utf-8")


if __name__ == "__main__":
    main()
