"""From a game's picture to what the network sees."""

import cv2
import numpy as np

SIDE = 84

cv2.setNumThreads(1)  # the environment process has one core


def small_grey(picture: np.ndarray) -> np.ndarray:
    """[height, width] or [height, width, 3] uint8 -> [84, 84, 1] uint8, by area interpolation (Appendix A)."""
    if picture.ndim == 3:
        picture = picture[..., 0] if picture.shape[-1] == 1 else cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    return cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA)[..., None]
