"""InfoNCE, CLIP and CLCL: the numbers of SAGE's specification, section 12, and an independent implementation."""

from __future__ import annotations

import math
import statistics
import time

import pytest
import torch
from torch.nn import functional as F
from torch.profiler import ProfilerActivity, profile

from slt_zoo.errors import ConfigError
from slt_zoo.losses import LogitScale, clcl_loss, clcl_similarity, clip_loss, info_nce

DIRECTIONS = ("paper", "code", "balance", "depart")
SCALE = 1 / 0.07


def plain(video, video_mask, text, text_mask, temperature=0.07, legacy_mask=False):
    """The equations as they stand, with the whole tensor of pairs."""
    cosine = torch.einsum("bnd,cmd->bcnm", F.normalize(video, dim=-1), F.normalize(text, dim=-1))
    rows = columns = cosine / temperature
    if not legacy_mask:
        rows = rows.masked_fill(~text_mask[None, :, None], float("-inf"))
        columns = columns.masked_fill(~video_mask[:, None, :, None], float("-inf"))
    of_video, of_text = (rows.softmax(3) * cosine).sum(3), (columns.softmax(2) * cosine).sum(2)
    z_v2t = (of_video * video_mask[:, None]).sum(2) / video_mask.sum(1)[:, None]
    return z_v2t, (of_text * text_mask[None]).sum(2) / text_mask.sum(1)[None]


def tokens(batch, longest, width=16, seed=0, dtype=torch.float32):
    """Tokens ``(B, N, D)`` of different lengths, and their mask; what is padding is random too."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, longest + 1, (batch, 1), generator=generator)
    values = torch.randn(batch, longest, width, generator=generator, dtype=dtype)
    return values, torch.arange(longest) < lengths


def valid(*values):
    """One sequence a row, all of it valid."""
    stacked = torch.tensor(values, dtype=torch.float64)
    return stacked, torch.ones(stacked.shape[:2], dtype=torch.bool)


@pytest.mark.parametrize("batch", [1, 4, 16])
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.5, 1.0])
def test_identical_tokens_cannot_be_told_apart(batch, direction, alpha):
    same = torch.full((batch, 5, 8), 0.7), torch.ones(batch, 5, dtype=torch.bool)
    z_v2t, z_t2v = clcl_similarity(*same, *same)
    torch.testing.assert_close(z_v2t, torch.ones(batch, batch))
    torch.testing.assert_close(z_t2v, torch.ones(batch, batch))
    loss = clcl_loss(z_v2t, z_t2v, SCALE, alpha=alpha, direction=direction)
    assert loss.item() == pytest.approx({1: 0.0, 4: 1.386294, 16: 2.772589}[batch], abs=1e-5)


def test_orthonormal_tokens():
    basis = torch.eye(4, dtype=torch.float64).view(2, 2, 4)
    mask = torch.ones(2, 2, dtype=torch.bool)
    z_v2t, z_t2v = clcl_similarity(basis, mask, basis, mask)
    expected = torch.eye(2, dtype=torch.float64) / (1 + math.exp(-1 / 0.07))
    for z in (z_v2t, z_t2v):
        torch.testing.assert_close(z, expected, rtol=0, atol=1e-12)
    assert z_v2t[0, 0].item() == pytest.approx(0.999999375, abs=5e-10)
    for direction in ("paper", "code"):
        loss = clcl_loss(z_v2t, z_t2v, SCALE, direction=direction)
        assert loss.item() == pytest.approx(6.2488e-7, rel=1e-4)


def test_two_tokens_a_side():
    z_v2t, z_t2v = clcl_similarity(*valid([[1, 0], [0.6, 0.8]]), *valid([[1, 0], [0, 1]]))
    assert z_v2t.item() == pytest.approx(0.8945683609, abs=1e-10)
    assert z_t2v.item() == pytest.approx(0.8993381157, abs=1e-10)


@pytest.mark.parametrize("legacy_mask", [False, True])
@pytest.mark.parametrize(("batch", "texts"), [(5, 5), (7, 3), (1, 1)])
def test_the_plain_equations_give_the_same(batch, texts, legacy_mask):
    video, video_mask = tokens(batch, 11, dtype=torch.float64)
    text, text_mask = tokens(texts, 6, seed=1, dtype=torch.float64)
    grads = []
    for similarity in (clcl_similarity, plain):
        inputs = video.clone().requires_grad_(), text.clone().requires_grad_()
        z_v2t, z_t2v = similarity(inputs[0], video_mask, inputs[1], text_mask, legacy_mask=legacy_mask)
        (z_v2t.square().sum() + (z_t2v * torch.arange(texts)).sum()).backward()
        grads.append([z_v2t.detach(), z_t2v.detach(), *(x.grad for x in inputs)])
    for ours, theirs in zip(*grads, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


def test_few_videos_at_a_time_give_the_same_as_all(monkeypatch):
    video, text = tokens(9, 7), tokens(9, 5, seed=1)
    results = []
    for pairs in (1, 700, 1 << 20):
        monkeypatch.setattr("slt_zoo.losses.clcl._PAIRS", {"cpu": pairs})
        inputs = video[0].clone().requires_grad_(), text[0].clone().requires_grad_()
        z_v2t, z_t2v = clcl_similarity(inputs[0], video[1], inputs[1], text[1])
        clcl_loss(z_v2t, z_t2v, SCALE).backward()
        results.append([z_v2t.detach(), z_t2v.detach(), *(x.grad for x in inputs)])
    for some in results[:2]:
        for a, b in zip(some, results[2], strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=1e-6)


def test_derivatives_are_those_of_differences():
    video, video_mask = tokens(3, 4, width=3, dtype=torch.float64)
    text, text_mask = tokens(2, 3, width=3, seed=1, dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda v, t: clcl_similarity(v, video_mask, t, text_mask), (video.requires_grad_(), text.requires_grad_())
    )


def padded(values, mask, more, seed):
    extra = torch.randn(len(values), more, values.shape[2], generator=torch.Generator().manual_seed(seed))
    return torch.cat([values, extra], 1), torch.cat([mask, torch.zeros(len(mask), more, dtype=torch.bool)], 1)


def test_padding_has_no_say():
    video, text = tokens(6, 9), tokens(6, 5, seed=1)
    longer = padded(*video, 7, 2), padded(*text, 4, 3)
    for z, same in zip(clcl_similarity(*video, *text), clcl_similarity(*longer[0], *longer[1]), strict=True):
        assert (z - same).abs().max() < 1e-6
    legacy = zip(
        clcl_similarity(*video, *text, legacy_mask=True),
        clcl_similarity(*longer[0], *longer[1], legacy_mask=True),
        strict=True,
    )
    assert all((z - other).abs().max() > 1e-2 for z, other in legacy), "the published code's does depend on it"


def test_order_of_tokens_has_no_say():
    (video, _), (text, _) = tokens(4, 8), tokens(4, 5, seed=1)
    masks = torch.ones(4, 8, dtype=torch.bool), torch.ones(4, 5, dtype=torch.bool)
    turned = video[:, torch.randperm(8)], text[:, torch.randperm(5)]
    before = clcl_similarity(video, masks[0], text, masks[1])
    for z, same in zip(before, clcl_similarity(turned[0], masks[0], turned[1], masks[1]), strict=True):
        assert (z - same).abs().max() < 1e-6


def test_a_side_without_a_token_is_like_nothing():
    video, video_mask = tokens(3, 4)
    text, text_mask = tokens(3, 5, seed=1)
    video_mask[1], text_mask[2] = False, False
    video.requires_grad_()
    for z in clcl_similarity(video, video_mask, text, text_mask):
        assert z.isfinite().all()
        assert (z[1] == 0).all() and (z[:, 2] == 0).all() and (z[0, :2] != 0).all()
        z.sum().backward(retain_graph=True)
    assert video.grad.isfinite().all() and (video.grad[1] == 0).all()


@pytest.mark.parametrize("mu", [0.0, 0.2, 0.5, 0.9])
def test_directions_that_are_the_same(mu):
    z = torch.randn(2, 6, 6, generator=torch.Generator().manual_seed(0)).double()
    loss = {(d, a): clcl_loss(*z, 10.0, alpha=a, direction=d).item() for d in DIRECTIONS for a in (mu, 0.5)}
    assert loss["paper", mu] == pytest.approx(loss["depart", mu], abs=1e-12)
    assert loss["paper", 0.5] == pytest.approx(loss["balance", 0.5], abs=1e-12)
    assert loss["code", mu] == loss["code", 0.5] != pytest.approx(loss["paper", 0.5], abs=1e-3)
    v, t = z * 10.0
    by_hand = [mu * info_nce(v), (1 - mu) * info_nce(v.T), mu * info_nce(t.T), (1 - mu) * info_nce(t)]
    assert loss["balance", mu] == pytest.approx(0.5 * sum(by_hand).item(), abs=1e-12)


def test_autocast_changes_nothing():
    video, text = tokens(6, 9), tokens(6, 5, seed=1)
    before = clcl_similarity(*video, *text)
    with torch.autocast("cpu", torch.bfloat16):
        within = clcl_similarity(*video, *text)
    for z, same in zip(before, within, strict=True):
        assert same.dtype == torch.float32
        torch.testing.assert_close(z, same, rtol=0, atol=0)


def test_frozen_text_gets_no_gradient_and_no_work():
    video, text = tokens(4, 6), tokens(4, 5, seed=1)
    values = video[0].requires_grad_()
    clcl_loss(*clcl_similarity(values, video[1], *text)).backward()
    assert values.grad.abs().sum() > 0 and text[0].grad is None


def test_clip_loss_is_symmetric_info_nce():
    video, text = torch.randn(5, 8), torch.randn(5, 8)
    cosine = torch.stack([F.cosine_similarity(v[None], text) for v in video])
    targets = torch.arange(5)
    expected = (F.cross_entropy(cosine * 3, targets) + F.cross_entropy(cosine.T * 3, targets)) / 2
    torch.testing.assert_close(clip_loss(video, text, 3.0), expected)
    torch.testing.assert_close(clip_loss(video * 7, text * 0.1, 3.0), expected)


def test_the_scale_is_bounded():
    scale = LogitScale()
    assert scale().item() == pytest.approx(1 / 0.07)
    scale.log.data.fill_(10.0)
    for _ in ("above its bound", "at it"):
        assert scale().item() == pytest.approx(100)
        scale.zero_grad()
        scale().backward()
        assert scale.log.grad.item() == pytest.approx(100), "it can still fall"
        scale.bound()
    assert scale.log.item() == pytest.approx(math.log(100))
    free = LogitScale(init=10.0, maximum=None)
    free.bound()
    assert free().item() == pytest.approx(math.exp(10.0))


def test_shapes_that_do_not_fit():
    (video, video_mask), (text, text_mask) = tokens(4, 6), tokens(4, 5, seed=1)
    with pytest.raises(ConfigError, match="do not fit together"):
        clcl_similarity(video, text_mask, text, text_mask)
    with pytest.raises(ConfigError, match="do not fit together"):
        clcl_similarity(video, video_mask, text[:, :, :3], text_mask)
    with pytest.raises(ConfigError, match="boolean"):
        clcl_similarity(video, video_mask.long(), text, text_mask)
    with pytest.raises(ConfigError, match="temperature"):
        clcl_similarity(video, video_mask, text, text_mask, 0.0)
    with pytest.raises(ConfigError, match=r"\(B, B\)"):
        info_nce(torch.zeros(3, 4))
    with pytest.raises(ConfigError, match="alpha"):
        clcl_loss(torch.zeros(3, 3), torch.zeros(3, 3), alpha=1.5)


def peak_bytes(step):
    """Most bytes that torch holds at once while ``step`` runs, above what it held before."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        step()
    now = most = 0
    for event in recorded.profiler.kineto_results.events():
        if event.name() == "[memory]":
            now += event.nbytes()
            most = max(most, now)
    return most


def test_memory_and_time_of_the_issue_size():
    (video, video_mask), (text, text_mask) = tokens(64, 40, 256), tokens(64, 24, 256, seed=1)
    video.requires_grad_(), text.requires_grad_()

    def step(similarity):
        video.grad = text.grad = None
        clcl_loss(*similarity(video, video_mask, text, text_mask), SCALE).backward()
        return video.grad, text.grad

    for ours, theirs in zip(step(clcl_similarity), step(plain), strict=True):
        assert (ours - theirs).abs().max() < 1e-6
    grads = 4 * (video.numel() + text.numel())
    ours, theirs = (peak_bytes(lambda s=s: step(s)) - grads for s in (clcl_similarity, plain))
    seconds = {clcl_similarity: [], plain: []}
    for _ in range(7):
        for similarity, times in seconds.items():
            start = time.process_time()  # other work on the machine is not ours
            step(similarity)
            times.append(time.process_time() - start)
    ratio = statistics.median(seconds[clcl_similarity]) / statistics.median(seconds[plain])
    print(f"peak {ours / 2**20:.1f} MiB against {theirs / 2**20:.1f} ({theirs / ours:.1f}x), time {ratio:.2f}x")
    assert ours * 8 <= theirs
    assert ratio <= 1.2


def test_whatever_stands_in_padding_has_no_say():
    torch.manual_seed(0)
    video, text = torch.randn(2, 4, 8), torch.randn(3, 5, 8)
    video_mask, text_mask = torch.ones(2, 4, dtype=torch.bool), torch.ones(3, 5, dtype=torch.bool)
    video_mask[1, 2:], text_mask[0, 1:] = False, False
    found = []
    for bad in (0.0, 1e6, math.nan, math.inf):
        sides = [video.clone(), text.clone()]
        sides[0][1, 2:], sides[1][0, 1:] = bad, -bad
        sides = [side.requires_grad_() for side in sides]
        z = clcl_similarity(sides[0], video_mask, sides[1], text_mask)
        sum(side.square().sum() for side in z).backward()
        found.append([*z, *(side.grad for side in sides)])
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            torch.testing.assert_close(a, b)
    assert not found[3][2][1, 2:].any() and not found[3][3][0, 1:].any()
