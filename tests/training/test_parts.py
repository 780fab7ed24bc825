import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline.training.parts import Part, out_of_memory, shared


@given(st.integers(0, 40), st.integers(1, 7), st.integers(1, 9), st.integers(0, 40))
def test_shares_and_pieces_take_each_example_once(count, processes, most, other):
    shares = [shared(count, rank=rank, processes=processes) for rank in range(processes)]
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
    pieces = [piece for share in shares for piece in share.pieces(most)]
    assert [one for piece in pieces for one in range(count)[piece.all]] == list(range(count))
    assert all(1 <= len(piece) <= most for piece in pieces)
    if count:
        assert [one for piece in pieces for one in range(other)[piece.among(other).all]] == list(range(other))


def test_the_whole_is_known():
    assert Part(0, 3, 3).whole
    assert not Part(0, 2, 3).whole


@pytest.mark.filterwarnings("ignore")
def test_torch_itself_says_that_memory_ran_out():
    with pytest.raises(RuntimeError) as found:
        torch.empty(2**60, dtype=torch.uint8)
    assert out_of_memory(found.value)
    assert out_of_memory(torch.OutOfMemoryError("CUDA out of memory."))
    assert out_of_memory(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"))
    assert out_of_memory(RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"))
    assert not out_of_memory(RuntimeError("shapes do not match"))
