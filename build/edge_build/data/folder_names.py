"""What the names of folders and files say of the pictures in them: good parts, defects, or masks.

People name folders in their own words (`good`, `OK`, `normal`, `gut`; `NOK`, `scratch`, `Ausschuss`; `gt`, `masks`). A
word that is not known says nothing, so nothing may rest on a name that sounds of nothing.

    sound_of("not_good")  # Sound.DEFECTS
    sound_of_path(("line1", "OK", "monday"))  # Sound.GOOD
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum


class Sound(Enum):
    """What a name says."""

    GOOD = "good parts"
    DEFECTS = "defects"
    MASKS = "masks"
    NOTHING = "nothing"


# Words of English, German, French, Spanish, Italian and Portuguese, and the abbreviations of the shop floor.
_GOOD_WORDS = """
good ok okay normal normals pass passed fine nominal conform conforming acceptable accepted free defectfree
gut gute gutteile io bon bonne bons conforme conformes bueno buena buono buoni bom boa
"""
_DEFECT_WORDS = """
bad anomaly anomalies anomalous abnormal abnormals nok ng ko fail failed failure reject rejects rejected scrap
defect defects defective damage damaged damages broken break fault faults faulty flaw flaws flawed error errors
nonconforming crack cracks cracked scratch scratches scratched dent dents dented stain stains stained
contamination contaminated chipped chipping burr burrs blowhole blowholes fray uneven rust
schlecht schlechte schlechtteile ausschuss defekt defekte fehler fehlerhaft kaputt nio kratzer riss risse
beschaedigt beschädigt mauvais mauvaise defaut défaut defauts défauts rebut rebuts malo mala defecto defectos
defectuoso rechazo difetto difetti difettoso scarto scarti defeito defeitos ruim
"""
_MASK_WORDS = """
mask masks maske masken gt groundtruth label labels annotation annotations annotated seg segmentation segmentations
"""
_SOUNDS = {
    word: sound
    for sound, words in (
        (Sound.GOOD, _GOOD_WORDS),
        (Sound.DEFECTS, _DEFECT_WORDS),
        (Sound.MASKS, _MASK_WORDS),
    )
    for word in words.split()
}
_NOT = ("not", "no", "non", "un", "without", "ohne", "sans", "nicht", "kein", "keine")
_OPPOSITE = {Sound.GOOD: Sound.DEFECTS, Sound.DEFECTS: Sound.GOOD}
_TEST = ("test", "tests", "testing", "test_public", "test_private")
_DATASET = (*_TEST, "train", "training", "val", "valid", "validation", "ground_truth", "images", "data")
MOST_WORDS = 2  # of a name that is meant to say what is in a folder; `2024-03 good screws batch 7` is one to find it by
MASK_ENDINGS = ("_mask", "_gt", "_label", "_seg", "_groundtruth", "_ground_truth", "-mask", "-gt", "-label")


def sound_of(name: str) -> Sound:
    """What the name of a folder says. Of several words a mask counts most, then a defect."""
    letters = "".join(re.findall(r"[^\W\d_]+", name))
    if (whole := _sound_of_word(letters.casefold())) is not Sound.NOTHING:
        return whole
    sounds: list[Sound] = []
    before = ""
    for word in _words(name):
        sound = _sound_of_word(word.casefold())
        if before in _NOT:
            sound = _OPPOSITE.get(sound, sound)
        elif word.casefold() == "free" and sounds and sounds[-1] is Sound.DEFECTS:
            sounds.pop()
        sounds.append(sound)
        before = word.casefold()
    return _strongest(sounds)


def is_short(name: str) -> bool:
    """Whether a name has so few words that each says something."""
    return len(_words(name)) <= MOST_WORDS


def sound_of_path(folders: Sequence[str]) -> Sound:
    """What folders within one another say of what is in them: `good/scratched` holds defects."""
    return _strongest([sound_of(name) for name in folders])


def is_test_folder(name: str) -> bool:
    """Whether a folder of this name holds a dataset's test pictures."""
    return name.casefold() in _TEST


def is_part_of_a_dataset(name: str) -> bool:
    """Whether a folder of this name is a part of a dataset, such as `train`, and no kind of pictures."""
    return name.casefold() in _DATASET


def mask_ending(stem: str) -> str | None:
    """`_mask` of `part-1_mask`, and so on; None for a name that does not end like that of a mask."""
    return next((ending for ending in MASK_ENDINGS if stem.casefold().endswith(ending)), None)


def _strongest(sounds: Sequence[Sound]) -> Sound:
    return next((sound for sound in (Sound.MASKS, Sound.DEFECTS, Sound.GOOD) if sound in sounds), Sound.NOTHING)


def _sound_of_word(word: str) -> Sound:
    return _SOUNDS.get(word, Sound.NOTHING)


def _words(name: str) -> list[str]:
    return re.findall(r"[A-Z]?[^\W\d_A-Z]+|[A-Z]+(?![a-z])", name)
