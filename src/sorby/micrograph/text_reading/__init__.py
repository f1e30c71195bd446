"""Reading text in images: one protocol, two engines, no network.

>>> from sorby.micrograph.text_reading import TextLine
>>> TextLine("10 µm", left=4, top=2, right=60, bottom=20, confidence=0.98).height
18.0
"""

from sorby.micrograph.text_reading.engines import ENGINES, EngineName, open_reader
from sorby.micrograph.text_reading.lines import Reading, TextLine, TextReader, joined

__all__ = ["ENGINES", "EngineName", "Reading", "TextLine", "TextReader", "joined", "open_reader"]
