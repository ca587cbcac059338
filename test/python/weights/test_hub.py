"""Loading from the hub, tested with a small local server that behaves like the hub."""

import hashlib
import http.server
import json
import threading

import pytest
from golden import GOLDEN

from qalign.weights.errors import Cancelled, CheckpointError, DownloadFailed, ModelNotFound
from qalign.weights.hub import needed_files, resolve_model

COMMIT = "0123456789abcdef0123456789abcdef01234567"
MODEL = GOLDEN / "tiny_b" / "model"


class Hub(http.server.BaseHTTPRequestHandler):
    asked: list = []  # noqa: RUF012 – one server per test
    cut: set = set()  # noqa: RUF012 – files whose first download breaks off halfway

    def do_HEAD(self):
        self.answer(head=True)

    def do_GET(self):
        self.answer(head=False)

    def answer(self, head):
        path = self.path.split("?")[0]
        if path.startswith("/api/models/owner/tiny"):
            names = [*(file.name for file in MODEL.iterdir()), "flax_model.msgpack", "README.md"]
            files = [{"rfilename": n, "size": (MODEL / n).stat().st_size if (MODEL / n).exists() else 9} for n in names]
            known = "/revision/" not in path or path.endswith((COMMIT, "main", "v1"))
            body = json.dumps({"id": "owner/tiny", "sha": COMMIT, "siblings": files}).encode()
            self.reply(200 if known else 404, body, {} if known else {"X-Error-Code": "RevisionNotFound"})
        elif path.startswith(f"/owner/tiny/resolve/{COMMIT}/"):
            file = MODEL / path.rsplit("/", 1)[1]
            body = file.read_bytes()
            if not head:
                self.asked.append((file.name, self.headers.get("Range")))
            tag = {"ETag": f'"{hashlib.sha256(body).hexdigest()}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
            start = int((self.headers.get("Range") or "bytes=0-")[6:].split("-")[0])
            code = 206 if start else 200
            if start:
                tag["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
            self.reply(code, body[start:], tag, head, file.name in self.cut and not head)
        else:
            self.reply(404, b"{}", {"X-Error-Code": "RepoNotFound"})

    def reply(self, code, body, headers, head=False, cut=False):
        self.send_response(code)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if not head:
            self.wfile.write(body[: len(body) // 2] if cut else body)
        if cut:
            self.close_connection = True

    def log_message(self, *arguments):
        pass


@pytest.fixture
def hub(tmp_path):
    handler = type("OneHub", (Hub,), {"asked": [], "cut": set()})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    handler.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    handler.cache = tmp_path / "hub"
    yield handler
    server.shutdown()
    server.server_close()


def resolve(hub, name="owner/tiny", **options):
    return resolve_model(name, cache_dir=hub.cache, endpoint=hub.endpoint, **options)


def test_needed_files_are_downloaded_once_and_offline_finds_them(hub):
    steps = []
    found = resolve(hub, revision=COMMIT, on_progress=lambda *step: steps.append(step))
    names = sorted(file.name for file in found.path.iterdir())
    assert names == sorted(
        ["config.json", "tokenizer.model", "preprocessor_config.json", "pytorch_model.bin.index.json",
         "pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin"]
    )  # fmt: skip
    assert found.revision == COMMIT
    total = sum((MODEL / name).stat().st_size for name in names)
    assert steps[-1] == ("download", total, total, "bytes")
    asked = len(hub.asked)
    assert resolve(hub) == found
    assert len(hub.asked) == asked
    assert resolve_model("owner/tiny", revision=COMMIT, cache_dir=hub.cache, offline=True) == found


def test_a_cancelled_download_is_not_reported_as_a_hub_failure(hub):
    def stop(*step):
        raise Cancelled("enough")

    with pytest.raises(Cancelled):
        resolve(hub, on_progress=stop)


def test_offline_without_a_cache_raises_a_clear_error(hub):
    with pytest.raises(ModelNotFound, match="not in the model cache"):
        resolve(hub, offline=True)


def test_unknown_models_and_revisions(hub):
    with pytest.raises(ModelNotFound, match="owner/none"):
        resolve(hub, "owner/none")
    with pytest.raises(ModelNotFound, match="at revision v9"):
        resolve(hub, revision="v9")


def test_without_a_network_the_error_explains_how_to_copy_the_model(tmp_path):
    with pytest.raises(
        DownloadFailed, match=r"no network connection to http://127\.0\.0\.1:9.*HF_ENDPOINT.*--model DIR.*HF_HOME"
    ):
        resolve_model("owner/tiny", cache_dir=tmp_path, endpoint="http://127.0.0.1:9")
    with pytest.raises(DownloadFailed, match="no network"):
        resolve_model("owner/tiny", cache_dir=tmp_path, endpoint="http://no-such-host.invalid")


def test_without_a_network_a_complete_cache_is_used(hub):
    found = resolve(hub, revision=COMMIT)
    gone = {"cache_dir": hub.cache, "endpoint": "http://127.0.0.1:9", "revision": COMMIT}
    assert resolve_model("owner/tiny", **gone) == found
    weights = next(file for file in found.path.iterdir() if file.suffix in (".safetensors", ".bin"))
    weights.unlink()
    with pytest.raises(DownloadFailed, match="no network"):
        resolve_model("owner/tiny", **gone)


def test_a_download_that_breaks_off_can_be_resumed(hub, monkeypatch):
    def broken(*_args, **_named):
        raise ConnectionResetError("reset by peer")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", broken)
    with pytest.raises(DownloadFailed, match="resume the download"):
        resolve(hub)


def needed(names, weight_maps=None):
    return list(needed_files(dict.fromkeys(names, 1), lambda name: (weight_maps or {})[name]))


def test_selection_of_files_from_a_repository():
    assert needed(["config.json", "model.safetensors", "pytorch_model.bin", "x/model.safetensors"]) == [
        "config.json",
        "model.safetensors",
    ]
    lora = ["adapter_config.json", "adapter_model.bin", "non_lora_trainables.bin", "optimizer.pt"]
    assert needed(lora) == ["adapter_config.json", "adapter_model.bin", "non_lora_trainables.bin"]
    with pytest.raises(ModelNotFound, match="holds no checkpoint that qalign reads"):
        needed(["README.md"])
    with pytest.raises(ModelNotFound, match=r"It holds model\.gguf"):
        needed(["README.md", "model.gguf"])


def test_an_index_of_a_repository_selects_the_files_and_leftovers_are_ignored():
    index, first, second = "model.safetensors.index.json", "model-1.safetensors", "part-2.safetensors"
    maps = {index: {"a": first, "b": second}, "pytorch_model.bin.index.json": {"a": "pytorch_model-1.bin"}}
    names = [index, first, second, "model-of-another-save.safetensors", "pytorch_model.bin.index.json"]
    assert needed(names, maps) == [index, first, second]
    assert needed([*names, "model.safetensors"], maps) == ["model.safetensors"]
    assert needed([index, first, "pytorch_model.bin"], maps) == ["pytorch_model.bin"]
    assert needed(["model.safetensors", "adapter_config.json"], maps) == ["adapter_config.json", "model.safetensors"]
    with pytest.raises(CheckpointError, match=rf"{index} lacks 1 of 2 weight files: {second}"):
        needed([index, first], maps)
