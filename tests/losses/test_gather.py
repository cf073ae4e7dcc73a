"""A contrastive loss over processes: two give the loss and the gradients of one with all clips."""

from __future__ import annotations

import pytest
import torch
import torch.multiprocessing as mp
from torch import distributed as dist

from slt_zoo.losses import clcl_loss, clcl_similarity
from slt_zoo.losses.gather import gather_rows, gather_sequences


def sequences(lengths, width, seed):
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(len(lengths), 5, width, generator=generator, dtype=torch.float64)
    return values, torch.arange(5) < torch.tensor(lengths)[:, None]


VIDEO, TEXT = sequences([2, 5, 3, 1, 4], 4, 0), sequences([3, 1, 5, 2, 2], 4, 1)
PARTS = {0: slice(0, 3), 1: slice(3, 5)}


def network():
    torch.manual_seed(0)
    return torch.nn.Linear(4, 4).double()


def loss_of(net, part):
    """As a model does it: own videos against all texts, then the rows of all."""
    text, text_mask = gather_sequences(TEXT[0][part], TEXT[1][part])
    z = clcl_similarity(net(VIDEO[0][part]), VIDEO[1][part], text, text_mask)
    return clcl_loss(*(gather_rows(side) for side in z), 10.0)


def run_rank(rank, folder):
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    net = torch.nn.parallel.DistributedDataParallel(network())
    part = PARTS[rank]
    # a process whose longest sequence is shorter pads less
    longest = int(TEXT[1][part].sum(1).max())
    text, mask = gather_sequences(TEXT[0][part][:, :longest], TEXT[1][part][:, :longest])
    assert torch.equal(mask, TEXT[1]) and torch.equal(text[mask], TEXT[0][TEXT[1]])
    assert torch.equal(gather_rows(VIDEO[0][part]), VIDEO[0])
    loss = loss_of(net, part)
    loss.backward()
    found = {"loss": loss.detach(), **{name: p.grad for name, p in net.module.named_parameters()}}
    torch.save(found, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.filterwarnings("ignore:.*fork")
def test_two_processes_equal_one(tmp_path):
    mp.spawn(run_rank, args=(tmp_path,), nprocs=2)
    net = network()
    loss = loss_of(net, slice(None))
    loss.backward()
    for rank in PARTS:
        found = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        torch.testing.assert_close(found["loss"], loss.detach(), rtol=0, atol=1e-12)
        for name, parameter in net.named_parameters():
            torch.testing.assert_close(found[name], parameter.grad, rtol=0, atol=1e-12)


def test_one_process_gathers_itself():
    rows = torch.randn(3, 2, requires_grad=True)
    assert gather_rows(rows) is rows
    text, mask = gather_sequences(*TEXT)
    assert torch.equal(text, TEXT[0]) and torch.equal(mask, TEXT[1])
