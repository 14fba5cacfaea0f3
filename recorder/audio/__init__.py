"""Audio in, renditions out, in one streaming pass. Handles plaintext audio: in memory and pipes, never in a file.

`produce` reads a recording's bytes once and writes what is to be kept of it: the original, a playback copy where
browsers need one, and peaks. pydub and ffmpeg are known only in here.
"""

from recorder.audio.coder import ffmpeg
from recorder.audio.cut import Cut
from recorder.audio.outputs import OpenSinks, Rendition, Sink
from recorder.audio.peaks import read_header as read_peaks_header
from recorder.audio.renditions import Limits, Produced, produce
from recorder.audio.sniff import CONTENT_TYPES, sniff

__all__ = [
    "CONTENT_TYPES",
    "Cut",
    "Limits",
    "OpenSinks",
    "Produced",
    "Rendition",
    "Sink",
    "ffmpeg",
    "produce",
    "read_peaks_header",
    "sniff",
]
