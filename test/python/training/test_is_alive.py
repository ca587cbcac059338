import os
import subprocess
import time

from qalign.training.distributed import is_alive


def test_a_process_that_has_ended_is_gone_before_its_parent_asks_for_its_status() -> None:
    child = subprocess.Popen(["sleep", "0.3"])
    assert is_alive(child.pid) and is_alive(os.getpid())
    time.sleep(1)
    os.kill(child.pid, 0)  # it is still in the table
    assert not is_alive(child.pid)
    child.wait()
    assert not is_alive(child.pid)
