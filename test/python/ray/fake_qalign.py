"""A shard worker that needs no model, for tests of the cluster. It follows `src/recipes/shards/events.ts`.

`fake_qalign.py --version` prints 0.1.0, or $FAKE_VERSION. Otherwise each line of stdin is a shard. It is computed in
$FAKE_STEPS steps of 0.1 s (10) and committed to the folder after `--out`. The name of a shard says what happens with
it: `kills` ends the worker, `fails` fails, `hangs` never ends.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path


def tell(event: str, **fields: object) -> None:
    print(json.dumps({"event": event, **fields}), flush=True)


def commit(folder: Path, name: str, text: str) -> tuple[Path, str]:
    """Writes a whole file once, as the real worker does."""
    output = folder / f"{Path(name).stem}.scores.jsonl"
    draft = folder / f".{output.name}.{os.getpid()}"
    draft.write_text(text)
    try:
        os.link(draft, output)
        how = "written"
    except FileExistsError:
        how = "present"
    draft.unlink()
    return output, how


def main(args: list[str]) -> None:
    if args == ["--version"]:
        print(os.environ.get("FAKE_VERSION", "0.1.0"))
        return
    folder = Path(args[args.index("--out") + 1])
    steps = int(os.environ.get("FAKE_STEPS", "10"))
    signal.signal(signal.SIGTERM, lambda *_: os._exit(143))
    (folder / "pids").mkdir(parents=True, exist_ok=True)
    (folder / "pids" / str(os.getpid())).touch()
    version = os.environ.get("FAKE_SCORE_VERSION", "abc")
    tell("ready", qalign="0.1.0", score_version=version, device="cpu", python="3", torch="")
    for text in sys.stdin:
        line = json.loads(text)
        place = {"shard": line["shard"], "index": line["index"]}
        if "kills" in line["shard"]:
            os.kill(os.getpid(), signal.SIGKILL)
        if "fails" in line["shard"]:
            tell("failed", **place, error={"code": "MEDIA_CORRUPT", "message": "damaged", "retry": False})
            continue
        while "hangs" in line["shard"]:
            time.sleep(1)
        for step in range(steps):
            time.sleep(0.1)
            tell("progress", **place, items=step)
        output, how = commit(folder, line["shard"], f'{{"shard": "{line["shard"]}"}}\n')
        tell("done", **place, output=str(output), items=steps, failed=0, seconds=0.1 * steps, commit=how)


if __name__ == "__main__":
    main(sys.argv[1:])
