"""Encoders of frames: shapes, parts equal to the whole, weights that are named strictly and never run."""

from __future__ import annotations

import pickle

import pytest
import torch

from slt_zoo.errors import CheckpointError, CheckpointMismatchError, ConfigError
from slt_zoo.layers.frame_encoder import FrameEncoder, S3DEncoder, read_weights, weights_hash

SMALL = "test_resnet.r160_in1k"


def frames(count, size=(48, 64), seed=0):
    draw = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 3, *size), dtype=torch.uint8, generator=draw)


class TestFrameEncoder:
    def test_a_row_a_frame_whatever_the_parts(self):
        whole, parts = (FrameEncoder(SMALL, max_frames=n).eval() for n in (64, 3))
        assert (whole.width, whole.stride, whole.window, whole.size) == (96, 1, 1, (160, 160))
        with torch.no_grad():
            a, b = whole(frames(7)), parts(frames(7))
        assert a.shape == (7, 96)
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)
        with torch.no_grad():
            torch.testing.assert_close(a[2:3], whole(frames(7)[2:3]), atol=1e-5, rtol=1e-4)

    def test_frames_are_normalised_as_the_model_was_trained(self):
        model = FrameEncoder(SMALL).eval()
        seen = []
        model.encoder.forward = lambda x: seen.append(x) or torch.zeros(len(x), 96)
        model(torch.full((1, 3, 4, 4), 255, dtype=torch.uint8))
        assert seen[0].unique().item() == pytest.approx(1.0)  # mean and std of this model are 0.5
        assert seen[0].is_contiguous(memory_format=torch.channels_last)

    def test_random_weights_are_those_of_the_seed(self):
        torch.manual_seed(7)
        before = torch.random.get_rng_state()
        hashes = [weights_hash(FrameEncoder(SMALL, seed=seed)) for seed in (1, 1, 2)]
        assert hashes[0] == hashes[1] != hashes[2]
        assert torch.equal(before, torch.random.get_rng_state())

    @pytest.mark.parametrize("name", ["no_such_net", "hf-hub:someone/something", "resnet18.no_such_tag"])
    def test_what_timm_does_not_know_is_told(self, name):
        with pytest.raises(ConfigError, match=r"timm .*" + name.split(":")[0]):
            FrameEncoder(name)

    def test_a_near_miss_is_told(self):
        with pytest.raises(ConfigError, match=r"did you mean .*resnet18"):
            FrameEncoder("resnet_18")


class TestWeights:
    @pytest.fixture
    def weights(self):
        import timm

        torch.manual_seed(3)
        return timm.create_model(SMALL).state_dict()  # with its classifier

    @pytest.mark.parametrize("form", ["safetensors", "pt", "state_dict", "folder"])
    def test_a_file_brings_its_weights_and_no_classifier(self, weights, form, tmp_path):
        from safetensors.torch import save_file

        path = {"safetensors": tmp_path / "w.safetensors", "folder": tmp_path / "model.safetensors"}.get(
            form, tmp_path / "w.pt"
        )
        if path.suffix == ".safetensors":
            save_file(weights, path)
        else:
            torch.save({"state_dict": weights} if form == "state_dict" else weights, path)
        model = FrameEncoder(SMALL, weights=read_weights(tmp_path if form == "folder" else path))
        assert torch.equal(model.encoder.state_dict()["conv1.0.weight"], weights["conv1.0.weight"])
        assert weights_hash(model) != weights_hash(FrameEncoder(SMALL))

    def test_names_and_shapes_are_strict(self, weights):
        for edit, told in (
            (lambda w: w.pop("conv1.0.weight"), "1 missing: conv1.0.weight"),
            (lambda w: w.update(other=torch.ones(1)), "1 not known: other"),
            (lambda w: w.update({"bn1.bias": torch.ones(2)}), r"1 of other shapes: bn1.bias: \(2,\)"),
        ):
            damaged = dict(weights)
            edit(damaged)
            with pytest.raises(CheckpointMismatchError, match=told):
                FrameEncoder(SMALL, weights=damaged)

    def test_a_pickle_runs_nothing(self, tmp_path):
        class Hostile:
            def __reduce__(self):
                return (tmp_path.joinpath("ran").touch, ())

        (tmp_path / "w.pt").write_bytes(pickle.dumps(Hostile()))
        with pytest.raises(CheckpointError, match="cannot be read"):
            read_weights(tmp_path / "w.pt")
        assert not (tmp_path / "ran").exists()

    def test_what_is_not_there_or_no_weights(self, tmp_path):
        with pytest.raises(CheckpointError, match="not there"):
            read_weights(tmp_path / "w.pt")
        torch.save([torch.ones(1)], tmp_path / "w.pt")
        with pytest.raises(CheckpointError, match="no weights by name"):
            read_weights(tmp_path / "w.pt")


class TestS3D:
    def test_block_four_as_the_published_dumps(self):
        """1/4 of the frames, 832 wide; for 64 frames of 64 px the block's own output is (832, 16, 4, 4)."""
        from torchvision.models.video import s3d

        model = S3DEncoder(seed=5).eval()
        torch.manual_seed(5)
        reference = s3d().eval()
        clip = frames(64, (64, 64))
        with torch.no_grad():
            block = reference.features[:13](model.normalise(clip).transpose(0, 1)[None])[0]
            assert block.shape == (832, 16, 4, 4)
            torch.testing.assert_close(model(clip), block.mean((2, 3)).T)

    @pytest.mark.parametrize("count", [1, 3, 4, 13])
    def test_short_clips_have_a_row_for_every_begun_stride(self, count):
        with torch.no_grad():
            assert S3DEncoder().eval()(frames(count, (32, 32))).shape == (-(-count // 4), 832)

    @pytest.mark.parametrize("count", [150, 97])
    def test_parts_give_what_the_whole_clip_gives(self, count):
        whole, parts = S3DEncoder(max_frames=1000).eval(), S3DEncoder(max_frames=30).eval()
        parts.load_state_dict(_let_through(whole).state_dict())
        with torch.no_grad():
            a, b = whole.double()(frames(count, (32, 32))), parts.double()(frames(count, (32, 32)))
        assert a.shape == b.shape and a.std() > 1e-3
        torch.testing.assert_close(a, b, atol=1e-9, rtol=1e-9)

    def test_a_row_sees_the_window_and_no_more(self):
        model = _let_through(S3DEncoder(max_frames=1000)).eval()
        clip = frames(101, (32, 32))
        row = 12  # at frame 48
        for distance, same in ((31, False), (32, True)):
            for sign in (-1, 1):
                changed = clip.clone()
                changed[48 + sign * distance] = 255 - changed[48 + sign * distance]
                with torch.no_grad():
                    assert torch.equal(model(changed)[row], model(clip)[row]) == same

    def test_weights_of_the_whole_net_or_of_its_features(self):
        from torchvision.models.video import s3d

        torch.manual_seed(1)
        net = s3d()
        hashes = {weights_hash(S3DEncoder(weights=w)) for w in (net.state_dict(), net.features.state_dict())}
        assert len(hashes) == 1 and weights_hash(S3DEncoder()) not in hashes
        with pytest.raises(CheckpointMismatchError, match="torchvision's S3D"):
            S3DEncoder(weights={"features.0.0.0.weight": torch.ones(1)})


def _let_through(model):
    """Batch norm that keeps the scale of its input: with the statistics of random weights nothing reaches the end."""
    clip = frames(40, (32, 32), seed=9)
    norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm3d)]
    for norm in norms:
        norm.momentum = None
        norm.reset_running_stats()
    model.train()
    with torch.no_grad():
        model(clip)
    return model.eval()
