"""Learning CPR-Faster on a CPU: a frozen backbone's features are computed once, and pairs of cells are cut from them.

The local branch sees 3x3 cells, so it is trained on such neighbourhoods instead of whole maps. What it learns is judged
on good pictures that were kept aside and got made-up defects of their own; the best state by their average precision
is kept. No test picture takes part.

    learner = CprLearner(pictures, settings, seed, progress)
    detector = learner.learn(range(len(pictures)))
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from torch import Tensor, nn
from torch.nn import functional as F

from edge_build.cpr import FINE_REACH, STAGES, Cpr, GlobalBranch, LocalBranch, combined, distances
from edge_build.cpr_pairs import Maps, Pool, Scale, scale_loss, scale_of
from edge_build.efficientnet import load_backbone
from edge_build.foreground import Foreground, find_foreground
from edge_build.metrics import measure
from edge_build.patchcore import smooth_upsampling
from edge_build.progress import Progress
from edge_build.recipe import CprSettings
from edge_build.synthetic import augmented, with_defect
from edge_build.textures import load_textures

CODES = 12
MOST_VECTORS = 50_000  # for the codebook
MOST_FOR_FOREGROUND = 200  # pictures
PICTURES_AT_ONCE = 16  # of a training step
LEARNING_RATE, WEIGHT_DECAY = 2e-3, 1e-2
POOL_BYTES = 3 << 29  # features of made-up pictures that are kept in memory
HELD_OUT_SHARE, MOST_HELD_OUT, HELD_OUT_COPIES = 0.1, 24, 2
CHECKS = 8  # how often the hold-out is measured


class CprLearner:
    """Holds the features of the good pictures in float16: 0.4 MB a picture at 320x320."""

    def __init__(self, pictures: NDArray[np.uint8], settings: CprSettings, seed: int, progress: Progress) -> None:
        """pictures: uint8 BGR (n, H, W, 3), prepared. Raises ConfigError for textures that cannot be read."""
        self._pictures, self._settings, self._seed, self._progress = pictures, settings, seed, progress
        self._size = (int(pictures.shape[1]), int(pictures.shape[2]))
        self._textures = load_textures(settings.textures, *self._size, seed, progress)
        self._backbone = load_backbone(settings.backbone, STAGES)
        self._maps = Maps(*self._extract(pictures, "features"))

    def learn(self, chosen: Sequence[int]) -> Cpr:
        """The detector whose references are the chosen pictures alone.

        Raises ConfigError when the recipe asks for a foreground that is not there.
        """
        random = np.random.default_rng(self._seed)
        maps = self._maps[chosen]
        some = maps.fine[:: -(-len(chosen) // MOST_FOR_FOREGROUND)]
        foreground, why = find_foreground(some, self._settings.kind, self._seed)
        self._progress.say(why)
        codebook = fit_codebook(maps.fine, self._seed)
        aside = held_out_rows(len(chosen))
        taught = [row for row in range(len(chosen)) if row not in aside]
        references = maps[taught]
        retrieval = GlobalBranch(codebook, [references.fine])
        count = pool_size(self._settings.pool, maps)
        sources = [(taught[number % len(taught)], number % len(taught)) for number in range(count)]
        pool = self._pool(chosen, sources, foreground, retrieval, random, "made-up defects")
        checked = [(row, None) for row in aside for _ in range(HELD_OUT_COPIES)]
        check = self._pool(chosen, checked, foreground, retrieval, random, "made-up hold-out")
        local, precision = self._train(references, pool, check, foreground)
        self._progress.say(
            f"average precision on made-up defects of {len(aside)} held-out good pictures: {precision:.1%}"
        )
        part = None if foreground is None else (foreground, shares_of(foreground, maps.fine))
        notes = (why, *self._notes())
        whole = GlobalBranch(codebook, [maps.fine])
        banks = (described(local[0], maps.fine), described(local[1], maps.coarse))
        return Cpr(self._backbone, whole, local, banks, part, self._size, notes)

    def _notes(self) -> tuple[str, ...]:
        if self._settings.textures is not None:
            return ()
        return (
            "made-up defects come from the parts alone: a folder of pictures of surfaces (cpr.textures) adds variety",
        )

    def _extract(self, pictures: NDArray[np.uint8], what: str) -> tuple[Tensor, Tensor]:
        """Fine and coarse maps, float16, channels last."""
        fine, coarse = [], []
        with torch.inference_mode():
            for batch in self._progress.track(what, torch.split(torch.from_numpy(pictures), 4)):
                maps = self._backbone(batch)
                fine.append(maps[0].half())
                coarse.append(maps[1].half())
        return _stacked(fine), _stacked(coarse)

    def _pool(
        self,
        chosen: Sequence[int],
        sources: Sequence[tuple[int, int | None]],
        foreground: Foreground | None,
        retrieval: GlobalBranch,
        random: np.random.Generator,
        what: str,
    ) -> Pool:
        """One picture with defects of each source: its row among the chosen, and among the references if it is one."""
        fine, coarse, masks, nearest, shares = [], [], [], [], []
        with torch.inference_mode():
            for row, own in self._progress.track(what, sources):
                picture = self._pictures[chosen[row]]
                place = None
                if foreground is not None:
                    share = foreground(self._maps.fine[chosen[row]][None].float())
                    shares.append(share)
                    large = F.interpolate(share[None], self._size, mode="bilinear", align_corners=False)[0, 0]
                    place = (large > 0.5).numpy()
                image, mask = with_defect(picture, place, self._textures, random)
                maps = self._backbone(torch.from_numpy(augmented(image, random)[None]))
                far = retrieval.divergences(maps[0])
                others = len(far)
                if own is not None and others > 1:
                    far[own], others = torch.inf, others - 1
                nearest.append(far.topk(min(retrieval.count, others), largest=False).indices)
                fine.append(maps[0].half())
                coarse.append(maps[1].half())
                masks.append(mask)
        found = torch.cat(shares) if foreground is not None else None
        return Pool(Maps(_stacked(fine), _stacked(coarse)), np.stack(masks), torch.stack(nearest), found)

    def _train(
        self, references: Maps, pool: Pool, check: Pool, foreground: Foreground | None
    ) -> tuple[tuple[LocalBranch, LocalBranch], float]:
        """Both local branches at their best, folded, and their average precision on the hold-out."""
        steps = self._settings.steps
        generator = torch.Generator().manual_seed(self._seed)
        with torch.random.fork_rng():
            torch.manual_seed(self._seed)
            channels = (references.fine.shape[1], references.coarse.shape[1])
            local = nn.ModuleList(LocalBranch(c, self._settings.width) for c in channels)
        scales = [scale_of(pool, m) for m in (pool.maps.fine, pool.maps.coarse)]
        optimizer = torch.optim.AdamW(local.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps)
        best, best_state = -1.0, copy.deepcopy(local.state_dict())
        checks = set(np.linspace(0, steps, CHECKS + 1).round().astype(int)[1:].tolist())
        losses: list[float] = []
        for step in self._progress.track("training", range(1, steps + 1)):
            loss = self._step_loss(local, scales, references, pool, generator)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it without types
            optimizer.step()
            schedule.step()
            losses.append(float(loss.detach()))
            if step in checks:
                precision = held_out_precision(_folded(local), references, check, foreground, self._size)
                self._progress.say(
                    f"step {step}: loss {np.mean(losses):.4f}, hold-out average precision {precision:.1%}"
                )
                losses.clear()
                if precision > best:
                    best, best_state = precision, copy.deepcopy(local.state_dict())
        local.load_state_dict(best_state)
        return _folded(local), best

    def _step_loss(
        self, local: nn.ModuleList, scales: list[Scale], references: Maps, pool: Pool, generator: torch.Generator
    ) -> Tensor:
        count = min(PICTURES_AT_ONCE, len(pool.masks))
        rows = torch.randperm(len(pool.masks), generator=generator)[:count]
        picks = torch.randint(pool.nearest.shape[1], (count,), generator=generator)
        compared = pool.nearest[rows, picks]
        total = torch.zeros(())
        pairs = zip(
            local, scales, (pool.maps.fine, pool.maps.coarse), (references.fine, references.coarse), strict=True
        )
        for branch, scale, queries, others in pairs:
            assert isinstance(branch, LocalBranch)
            with_remote = pool.foreground is not None  # on a texture, places that are far apart look alike
            total = total + scale_loss(branch, scale, queries, others, rows, compared, with_remote, generator)
        return total


def fit_codebook(fine: Tensor, seed: int) -> Tensor:
    """Centres (CODES, C) of the cells of fine maps (n, C, h, w)."""
    cells = fine.permute(0, 2, 3, 1).reshape(-1, fine.shape[1])
    chosen = np.random.default_rng(seed).permutation(len(cells))[:MOST_VECTORS]
    vectors = cells[torch.from_numpy(chosen)].float().numpy()
    return torch.from_numpy(KMeans(CODES, n_init=10, random_state=seed).fit(vectors).cluster_centers_).float()


def held_out_rows(count: int) -> list[int]:
    """Which of so many pictures only judge the training: spread over all, at least one."""
    wanted = max(1, min(MOST_HELD_OUT, round(HELD_OUT_SHARE * count)))
    return [(2 * number + 1) * count // (2 * wanted) for number in range(wanted)]


def pool_size(wanted: int, maps: Maps) -> int:
    """How many made-up pictures are kept: as wanted, as far as their features fit into memory."""
    each = sum(m[0].numel() * m.element_size() for m in (maps.fine, maps.coarse))
    return max(1, min(wanted, POOL_BYTES // each))


def described(branch: LocalBranch, maps: Tensor) -> Tensor:
    """Descriptors of maps (n, C, h, w), float16 (n, d, h, w)."""
    with torch.inference_mode():
        return torch.cat([branch(part.float().contiguous()).half() for part in torch.split(maps, 4)])


def shares_of(foreground: Foreground, fine: Tensor) -> Tensor:
    """The foreground of fine maps (n, C, h, w), float16 (n, h, w)."""
    with torch.inference_mode():
        return torch.cat([foreground(part.float()).half() for part in torch.split(fine, 16)])


def held_out_precision(
    local: tuple[LocalBranch, LocalBranch],
    references: Maps,
    check: Pool,
    foreground: Foreground | None,
    size: tuple[int, int],
) -> float:
    """The pixel average precision on the hold-out; 0 when no defect came about there."""
    used, places = torch.unique(check.nearest, return_inverse=True)
    banks = [described(branch, m[used]) for branch, m in zip(local, (references.fine, references.coarse), strict=True)]
    rows = smooth_upsampling(check.maps.fine.shape[2], size[0])
    columns = smooth_upsampling(check.maps.fine.shape[3], size[1]).T
    maps = np.empty(check.masks.shape, np.float32)
    with torch.inference_mode():
        for number, nearest in enumerate(places):
            fine, coarse = check.maps.fine[number][None].float(), check.maps.coarse[number][None].float()
            cells = combined(
                distances(local[0](fine)[0], banks[0][nearest].float(), FINE_REACH),
                distances(local[1](coarse)[0], banks[1][nearest].float(), 0),
            )
            if foreground is not None:
                theirs = foreground(references.fine[check.nearest[number]].float())
                cells = cells * torch.maximum(foreground(fine)[0], theirs.amax(0))
            maps[number] = (rows @ cells @ columns).numpy()
    defect = np.array([mask.any() for mask in check.masks])
    return measure(maps.max((1, 2)), defect, maps, list(check.masks)).pixel_ap or 0.0


def _folded(local: nn.ModuleList) -> tuple[LocalBranch, LocalBranch]:
    fine, coarse = local
    assert isinstance(fine, LocalBranch)
    assert isinstance(coarse, LocalBranch)
    return fine.folded(), coarse.folded()


def _stacked(maps: Sequence[Tensor]) -> Tensor:
    return torch.cat(list(maps)).contiguous(memory_format=torch.channels_last)
