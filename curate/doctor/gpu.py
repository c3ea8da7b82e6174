"""The NVIDIA driver and its GPUs, asked of the driver's own library (NVML): no CUDA context, no torch."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

LIBRARY = "libnvidia-ml.so.1"
TEXT = 96
"""Longest name or version that NVML gives (nvml.h: NVML_DEVICE_NAME_V2_BUFFER_SIZE)."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """One device."""

    name: str
    capability: tuple[int, int]
    memory: int
    """Bytes."""


@dataclass(frozen=True, slots=True)
class Driver:
    """The driver: empty version where none is loaded."""

    version: str = ""
    cuda: tuple[int, int] = (0, 0)
    """The newest CUDA that it runs."""
    gpus: tuple[Gpu, ...] = ()
    other: str = ""
    """Another maker's accelerator, by its device file."""
    evidence: str = "no libnvidia-ml.so.1"


class Nvml(Protocol):
    """The driver's library: any of its calls by name."""

    def __getattr__(self, name: str) -> Callable[..., int]:
        """A call; 0 is success (nvml.h: NVML_SUCCESS)."""


class Memory(ctypes.Structure):
    """nvmlMemory_t of nvml.h: bytes."""

    _fields_ = (("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong))


def read_driver() -> Driver:
    """What the machine shows."""
    other = next((device for device in ("/dev/kfd", "/dev/davinci0") if Path(device).exists()), "")
    try:
        library = ctypes.CDLL(LIBRARY)
    except OSError:
        return Driver(other=other)
    return ask_nvml(library, other)


def ask_nvml(nvml: Nvml, other: str = "") -> Driver:
    """Driver and devices by NVML's calls; every call that fails leaves its part empty."""
    if nvml.nvmlInit_v2() != 0:
        return Driver(other=other, evidence=f"{LIBRARY} is here, but no driver answers")
    try:
        text = ctypes.create_string_buffer(TEXT)
        nvml.nvmlSystemGetDriverVersion(text, TEXT)
        version = text.value.decode(errors="replace")
        number = ctypes.c_int()
        nvml.nvmlSystemGetCudaDriverVersion_v2(ctypes.byref(number))
        count = ctypes.c_uint()
        nvml.nvmlDeviceGetCount_v2(ctypes.byref(count))
        gpus = tuple(ask_device(nvml, index) for index in range(count.value))
        # 13020 is CUDA 13.2 (nvml.h: NVML_CUDA_DRIVER_VERSION_MAJOR, _MINOR)
        return Driver(version, (number.value // 1000, number.value % 1000 // 10), gpus, other, LIBRARY)
    finally:
        nvml.nvmlShutdown()


def ask_device(nvml: Nvml, index: int) -> Gpu:
    """One device's name, compute capability and memory."""
    handle = ctypes.c_void_p()
    nvml.nvmlDeviceGetHandleByIndex_v2(ctypes.c_uint(index), ctypes.byref(handle))
    text = ctypes.create_string_buffer(TEXT)
    nvml.nvmlDeviceGetName(handle, text, TEXT)
    major, minor = ctypes.c_int(), ctypes.c_int()
    nvml.nvmlDeviceGetCudaComputeCapability(handle, ctypes.byref(major), ctypes.byref(minor))
    memory = Memory()
    nvml.nvmlDeviceGetMemoryInfo(handle, ctypes.byref(memory))
    return Gpu(text.value.decode(errors="replace"), (major.value, minor.value), int(memory.total))
