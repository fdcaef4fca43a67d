"""botan-fast info: what build_info says."""

import json
import re

import torch

import botan_fast as bf
from botan_fast.cli import main


def test_info(capsys):
    assert main(["info", "--json"]) == 0
    info = json.loads(capsys.readouterr().out)
    assert info == bf.build_info()
    assert info["version"] == bf.__version__
    assert info["torch"] == torch.__version__
    assert info["simd"] in ("avx512_bf16", "avx512", "avx2", "generic")
    assert main(["info"]) == 0
    assert re.search(rf"^threads +{torch.get_num_threads()}$", capsys.readouterr().out, re.MULTILINE)


def test_kernels_and_device_are_two_facts(capsys):
    assert main(["info"]) == 0
    [line] = [line for line in capsys.readouterr().out.splitlines() if line.startswith("cuda ")]
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    assert line.split(maxsplit=1)[1] == f"kernels built: {'yes' if bf.build_info()['cuda'] else 'no'}, device: {device}"


def test_why_there_are_no_cuda_kernels(capsys):
    """pip shows nothing of a build that succeeds; here a user learns why, and what to do."""
    info = bf.build_info()
    assert info["cuda"] == (info["cuda_absent"] == "")
    assert main(["info"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("no CUDA kernels: ")]
    assert lines == ([] if info["cuda"] else [f"no CUDA kernels: {info['cuda_absent']}"])
    if not info["cuda"]:
        assert "when this was built" in info["cuda_absent"]
