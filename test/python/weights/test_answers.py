import pytest
import torch

from qalign.weights.answers import pick_device, pick_precision
from qalign.weights.errors import ConfigError, DeviceUnavailable


@pytest.mark.parametrize("name", ["cuda:77", "gpu", "meta"])
def test_missing_devices_are_refused(name):
    with pytest.raises(DeviceUnavailable, match=name):
        pick_device(name)


def test_auto_is_fp32_on_a_cpu_and_bf16_on_cuda():
    assert pick_precision("auto", pick_device("cpu")) == "fp32"
    assert pick_precision("auto", torch.device("cuda", 0)) == "bf16"
    assert pick_precision("fp16", pick_device("cpu")) == "fp16"
    with pytest.raises(ConfigError, match="int4"):
        pick_precision("int4", pick_device("cpu"))
