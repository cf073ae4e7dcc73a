"""Words that reduced BLEU leaves out."""

__all__ = ["HOW2SIGN"]

_WORDS = """
    a able about actually again all already also am an and any are as at back be because been bit but by can can't
    cause come could did do does doesn't don't down each either end every for from get go going had has have he he's
    her here him his how i i'll i'm i've if in into is it it's its just know let's like little lot make many me might
    more much my not now of off on one or other our out over put really right she she's should so some sure take than
    that that's the their them then there there's these they they're thing this those through time to up us use very
    want was way we we'll we're we've were what what's whatever when where which while who why will with would you
    you'll you're you've your yourself
"""

HOW2SIGN = frozenset(_WORDS.split())
"""The published list for How2Sign (``imatge-upc/slt_how2sign_wicv2023``, ``blacklisted_words.txt``, MIT licence), case
folded. The list names each word in lower case and capitalised, with one slip (``Cas`` for ``Was``) that is not kept."""
