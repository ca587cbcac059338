"""A model's name → a directory with its files: a local directory, or a hub id through huggingface_hub's cache."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .errors import CheckpointError, DownloadFailed, ModelError, ModelNotFound
from .layout import ABSENT, INDEX_FILES, other_weights, pick_layout, read_weight_map
from .lora_config import ADAPTERS, CONFIG, NON_LORA
from .polling import polled

# Downloaded when the repository has them. Indices of weight files are fetched separately.
SMALL_FILES = ("config.json", "tokenizer.model", "preprocessor_config.json", CONFIG)
POLL_S = 0.5
WeightMapOf = Callable[[str], Mapping[str, str]]  # the name of an index → its weight_map
Needed = Callable[[dict[str, int], WeightMapOf], dict[str, int]]  # sizes of all files → those of the needed files


@dataclass(frozen=True)
class ResolvedModel:
    """The directory of the files, and the hub's commit (40 hex digits) or "local"."""

    path: Path
    revision: str


def resolve_model(
    model: str,
    *,
    revision: str | None = None,
    cache_dir: Path | None = None,
    offline: bool = False,
    on_progress: Callable[[str, int, int, str], None] = lambda stage, done, total, unit: None,
    endpoint: str | None = None,
    small_files: Sequence[str] = SMALL_FILES,
    safetensors_only: bool = False,
) -> ResolvedModel:
    """Resolve a local directory, or a hub id at a revision (None: the newest commit). Missing files are downloaded.

    Of a hub model these are `small_files` and weights, and a LoRA only if its configuration is among `small_files`.
    The next call resumes a broken download. Raises ModelNotFound and DownloadFailed.
    """
    local = Path(model).expanduser()
    if local.is_dir():
        return ResolvedModel(local, "local")
    if local.exists() or model.startswith((".", "/", "~")) or model.count("/") != 1:
        raise ModelNotFound(f"{model} is neither a model directory nor a hub id of the form owner/name.")
    if offline:
        return _from_cache(model, revision, cache_dir)

    def needed(sizes: dict[str, int], weight_map_of: WeightMapOf) -> dict[str, int]:
        return needed_files(sizes, weight_map_of, model, small_files=small_files, safetensors_only=safetensors_only)

    return _download(model, revision, cache_dir, on_progress, endpoint, needed)


def _from_cache(model: str, revision: str | None, cache_dir: Path | None) -> ResolvedModel:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        path = Path(snapshot_download(model, revision=revision, cache_dir=cache_dir, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError) as error:
        at = f" at {revision}" if revision else ""
        raise ModelNotFound(
            f"{model}{at} is not in the model cache; load it once without --offline, or name a local directory."
        ) from error
    return ResolvedModel(path, path.name)


def _download(
    model: str,
    revision: str | None,
    cache_dir: Path | None,
    on_progress: Callable[[str, int, int, str], None],
    endpoint: str | None,
    needed: Needed,
) -> ResolvedModel:
    from huggingface_hub import HfApi, hf_hub_download
    from huggingface_hub.errors import GatedRepoError, HFValidationError, RepositoryNotFoundError, RevisionNotFoundError

    try:
        found = HfApi(endpoint=endpoint).model_info(model, revision=revision, files_metadata=True)
        commit = found.sha

        def weight_map_of(name: str) -> Mapping[str, str]:
            return read_weight_map(
                Path(hf_hub_download(model, name, revision=commit, cache_dir=cache_dir, endpoint=endpoint))
            )

        sizes = needed({file.rfilename: file.size or 0 for file in found.siblings or []}, weight_map_of)
        total, done, path = sum(sizes.values()), 0, Path()
        for name, size in sizes.items():
            with _watch(
                model, cache_dir, lambda extra, done=done: on_progress("download", done + extra, total, "bytes")
            ):
                file = hf_hub_download(model, name, revision=commit, cache_dir=cache_dir, endpoint=endpoint)
            done += size
            path = Path(file).parent
            on_progress("download", done, total, "bytes")
    except ModelError:  # cancelled, or no usable checkpoint
        raise
    except GatedRepoError as error:
        raise DownloadFailed(f"{model} requires access: accept its licence on the hub and set HF_TOKEN.") from error
    except (RepositoryNotFoundError, RevisionNotFoundError, HFValidationError) as error:
        at = f" at revision {revision}" if revision else ""
        raise ModelNotFound(f"The hub has no model {model}{at}, or it is private.") from error
    except Exception as error:  # of any HTTP library of huggingface_hub, of the disk, of a checksum
        if _is_unreachable(error):
            return _whole_from_cache(model, revision, cache_dir, endpoint, needed, error)
        reason = (str(error) or type(error).__name__).splitlines()[0][:200]
        raise DownloadFailed(
            f"{model} could not be downloaded ({reason}); try again to resume the download."
        ) from error
    return ResolvedModel(path, str(commit))


# Names of connection errors in the HTTP and socket libraries of different huggingface_hub versions.
UNREACHABLE = {
    "ConnectError",
    "ConnectTimeout",
    "ProxyError",
    "NewConnectionError",
    "NameResolutionError",
    "gaierror",
    "ConnectionRefusedError",
    "OfflineModeIsEnabled",
}


def _is_unreachable(error: BaseException | None) -> bool:
    """Whether no connection was made. False if it was lost later, because a retry resumes the download."""
    while error is not None:
        if type(error).__name__ in UNREACHABLE:
            return True
        error = error.__cause__ or error.__context__
    return False


def _whole_from_cache(
    model: str,
    revision: str | None,
    cache_dir: Path | None,
    endpoint: str | None,
    needed: Needed,
    error: Exception,
) -> ResolvedModel:
    """The model from the cache, for a host without a network. Raises DownloadFailed unless all files are cached."""
    from huggingface_hub.constants import ENDPOINT, HF_HUB_CACHE

    try:
        found = _from_cache(model, revision, cache_dir)
        sizes = {file.name: file.stat().st_size for file in found.path.iterdir() if file.is_file()}
        needed(sizes, lambda name: read_weight_map(found.path / name))
    except (ModelError, OSError):
        raise DownloadFailed(
            f"{model} is not on this machine, and there is no network connection to {endpoint or ENDPOINT}. "
            "Set HF_ENDPOINT to a mirror, or copy the files from another machine: to a directory for --model DIR, "
            f"or to the cache {cache_dir or HF_HUB_CACHE} (set by HF_HOME)."
        ) from error
    return found


def needed_files(
    sizes: dict[str, int],
    weight_map_of: WeightMapOf,
    model: str = "The repository",
    *,
    small_files: Sequence[str] = SMALL_FILES,
    safetensors_only: bool = False,
) -> dict[str, int]:
    """The files of a repository that qalign reads, small files first: of a LoRA, or of the first complete layout.

    `weight_map_of` fetches and reads an index. Raises ModelNotFound when the repository has neither, and
    CheckpointError when no layout is complete.
    """
    top = {name: size for name, size in sizes.items() if "/" not in name}
    small = [name for name in small_files if name in top]
    adapters = [name for name in ADAPTERS if name in top][:1]
    if CONFIG in small and adapters:
        return {name: top[name] for name in (*small, *adapters, *(name for name in (NON_LORA,) if name in top))}
    usable = {name for name in top if not safetensors_only or ".bin" not in name}
    layout, reasons = pick_layout(lambda name: None if name in usable else ABSENT, weight_map_of)
    if layout is None:
        if reasons:
            raise CheckpointError(f"{model} on the hub has no complete weights: {'; '.join(reasons)}.")
        raise ModelNotFound(f"{model} on the hub holds no checkpoint that qalign reads.{other_weights(sorted(top))}")
    index = [layout.name] if layout.name in INDEX_FILES else []
    return {name: top[name] for name in (*small, *index, *layout.files)}


@contextmanager
def _watch(model: str, cache_dir: Path | None, report: Callable[[int], None]) -> Iterator[None]:
    """Report the size of the file that grows in the cache, because huggingface_hub has no progress callback."""
    from huggingface_hub.constants import HF_HUB_CACHE

    blobs = Path(cache_dir or HF_HUB_CACHE) / f"models--{model.replace('/', '--')}" / "blobs"

    def poll() -> None:
        sizes = []
        for file in blobs.glob("*.incomplete"):
            try:
                sizes.append(file.stat().st_size)
            except FileNotFoundError:
                continue  # the download ended between the two calls
        if sizes:
            report(max(sizes))

    with polled(poll, POLL_S):
        yield
