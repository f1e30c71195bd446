"""People rating images: designs, schemes, ratings and what they come to; consensus sessions.

A *study* needs neither a web server nor a database. It is a design (which images, in which order, for whom), a scheme
(what may be said of an image), a table of ratings and the results that follow from the three.
"""

from sorby.study.agreement_files import RatingFile, agreement_of, read_rating_file

__all__ = ["RatingFile", "agreement_of", "read_rating_file"]
