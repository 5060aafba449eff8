"""What ended a run, as its row says it; the whole traceback goes to the log."""

from __future__ import annotations

import gc
import logging
import traceback

import torch

from oodml.errors import OodmlError
from oodml.training_watch import DivergedError

_log = logging.getLogger(__name__)


def ending_of(error: Exception) -> dict[str, str]:
    """The columns `status` and `error` of a run that an exception ended, which is logged."""
    _log.error("this ended the run:", exc_info=error)
    if isinstance(error, DivergedError):
        return {"status": "diverged", "error": str(error)}
    if _out_of_memory(error):
        _free(error)
        reason = (str(error).splitlines() or [""])[0]
        text = f"out of memory ({type(error).__name__}{': ' if reason else ''}{reason})"
        return {"status": "failed", "error": f"{text}; use a smaller train.batch_size (--set), or fewer --workers"}
    text = str(error) if isinstance(error, OodmlError) else f"{type(error).__name__}: {error}"
    return {"status": "failed", "error": text}


def _out_of_memory(error: Exception) -> bool:
    """Python and NumPy, a GPU, or the CPU allocator of torch, which raises no type of its own."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def _free(error: Exception) -> None:
    """Lets go of what the failed run holds: it would be missing to the next one."""
    traceback.clear_frames(error.__traceback__)
    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
