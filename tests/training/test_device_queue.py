"""What the queue asks of torch.cuda, in which order and on which stream; torch's interfaces by their signatures."""

from unittest.mock import MagicMock, call, create_autospec

import pytest
import torch

from botan_fast.training.device_queue import DeviceQueue

DEVICE = torch.device("cuda", 1)


@pytest.fixture
def cuda(monkeypatch):
    """torch.cuda with recorders in the place of what needs a device; `order` has all calls."""
    order = MagicMock()
    order.current_stream.return_value = order.current
    order.Stream.side_effect = lambda device: getattr(order, f"stream{order.Stream.call_count}")
    order.CUDAGraph.return_value = order.a_graph
    order.graph_pool_handle.return_value = "pool"
    order.mem_get_info.return_value = (1000, 5000)
    order.memory_reserved.return_value, order.memory_allocated.return_value = 300, 100
    names = ("Event", "graph", "stream", "device", "current_stream", "graph_pool_handle", "mem_get_info", "set_stream")
    for name in names:
        create_autospec(getattr(torch.cuda, name))  # it is there
    monkeypatch.setattr(torch.cuda, "graph", lambda *a, **o: spec_of_graph(order, *a, **o))
    for name in (*(name for name in names if name != "graph"), "Stream"):
        monkeypatch.setattr(torch.cuda, name, getattr(order, name))
    for name in ("CUDAGraph", "memory_reserved", "memory_allocated"):
        monkeypatch.setattr(torch.cuda, name, getattr(order, name))
    return order


GRAPH = torch.cuda.graph  # before it is replaced


def spec_of_graph(order, *arguments, **options):
    create_autospec(GRAPH)(*arguments, **options)  # TypeError for what torch does not take
    return order.graph(*arguments, **options)


def test_copies_and_replays_go_to_the_stream_of_the_queue(cuda):
    queue, target = DeviceQueue(DEVICE), MagicMock()
    cuda.current_stream.assert_called_once_with(DEVICE)
    queue.copy(target, "source")
    target.copy_.assert_called_once_with("source", non_blocking=True)
    queue.replay(cuda.a_graph)
    cuda.a_graph.replay.assert_called_once_with()
    assert cuda.stream.call_args_list == [call(cuda.current)] * 2
    side = queue.side()
    cuda.Stream.assert_called_once_with(DEVICE)
    side.copy(target, "more")
    assert cuda.stream.call_args == call(cuda.stream1)


def test_marks(cuda):
    queue = DeviceQueue(DEVICE)
    mark, side = queue.mark(), queue.side()
    event = cuda.Event.return_value
    event.record.assert_called_once_with(cuda.current)
    side.wait_for(mark)
    cuda.stream1.wait_event.assert_called_once_with(event)
    event.synchronize.assert_not_called()
    assert mark.done() is event.query.return_value
    mark.wait()
    event.synchronize.assert_called_once_with()


def test_warm_ups_run_beside_the_queue_and_in_its_order(cuda):
    queue, step = DeviceQueue(DEVICE), cuda.step
    queue.warm_up(step)
    queue.warm_up(step)
    assert cuda.Stream.call_count == 1
    names = [name for name, *_ in cuda.mock_calls]
    once = ["stream1.wait_stream", "stream", "stream().__enter__", "step", "stream().__exit__", "current.wait_stream"]
    assert [name for name in names if name in once] == once * 2


def test_graphs_share_their_memory_and_are_captured_on_a_stream_of_their_own(cuda):
    """One stream for all of them: torch shares a pool among captures of one stream only."""
    queue = DeviceQueue(DEVICE)
    for _ in range(2):
        assert queue.capture(cuda.step) is cuda.a_graph
    assert cuda.graph.call_args_list == [call(cuda.a_graph, pool="pool", stream=cuda.stream1)] * 2
    cuda.graph_pool_handle.assert_called_once_with()
    assert cuda.device.call_args == call(DEVICE)
    names = [name for name, *_ in cuda.mock_calls]
    assert names.index("graph().__enter__") < names.index("step") < names.index("graph().__exit__")
    cuda.a_graph.replay.assert_not_called()


def test_a_capture_that_fails_gives_the_stream_back(cuda):
    queue = DeviceQueue(DEVICE)
    cuda.graph.return_value.__exit__.side_effect = RuntimeError("capture invalidated")
    with pytest.raises(RuntimeError, match="capture invalidated"):
        queue.capture(cuda.step)
    assert cuda.set_stream.call_args == call(cuda.current)


def test_memory(cuda, monkeypatch):
    queue, made = DeviceQueue(DEVICE), []
    assert queue.free_bytes() == 1000 + 300 - 100
    monkeypatch.setattr(torch, "empty", lambda *a, **o: made.append((a, o)))
    queue.pinned((3, 2), torch.int64)
    assert made == [(((3, 2),), {"dtype": torch.int64, "pin_memory": True, "device": "cpu"})]
