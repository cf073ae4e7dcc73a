"""Words of little content, which the plainest pseudo-glosses leave out.

Written for this package: articles, prepositions, conjunctions, auxiliary verbs and weak pronouns. Negations, numbers,
question words and strong pronouns are not among them, since these are signed; Greek ``έχω`` is not, since it mostly
means to own.
"""

from __future__ import annotations

__all__ = ["STOP_WORDS"]

_LISTS = {
    "el": """
        ο η το οι τα του της των τον την τη τους τις ένας μια μία ένα έναν ενός μιας
        σε στο στη στην στον στα στις στους στου στης στων με από για ως προς κατά παρά αντί εως έως μέχρι
        και κι ή είτε αλλά όμως ότι πως που αν εάν όταν ενώ καθώς επειδή ώστε άρα διότι όπως να θα ας
        μου σου μας σας
        είμαι είσαι είναι είμαστε είστε είσαστε ήμουν ήσουν ήταν ήμασταν ήσασταν
    """,
    "de": """
        der die das den dem des ein eine einen einem einer eines
        in im ins an am ans auf aus bei beim bis durch für gegen hinter mit nach neben um von vom vor zu zum zur
        zwischen ab seit während wegen
        und oder aber denn sondern dass daß ob wenn als weil da damit so sowie sowohl auch
        er sie es sich mich dich uns euch ihm ihn ihnen man ihre ihrem ihren ihrer ihres seine seinem seinen seiner
        seines unser unsere unserem unseren unserer dieser diese dieses diesem diesen welche welcher welches
        bin bist ist sind seid war waren warst gewesen sei wäre wären
        habe hast hat haben habt hatte hatten hätte hätten gehabt
        werde wirst wird werden werdet wurde wurden würde würden worden geworden
    """,
    "en": """
        the a an of in on at by for from to into onto with about as than through between during
        and or but if so because that which whose while though
        it its he him his she her hers they them their theirs us our ours my your yours me this these those
        itself himself herself themselves myself yourself ourselves yourselves
        am is are was were be been being do does did have has had having will would shall should can could may
        might must 's 'm 're 've 'll 'd
    """,
    "nl": """
        de het een in op aan uit bij tot door voor tegen achter met na naast om van te ter ten tussen sinds tijdens
        wegens en of maar want dat dan als omdat terwijl zodat toen ook
        er hij zij ze het je we zich hem haar hen hun ons men die dit deze zijn onze uw
        ben bent is was waren geweest heb hebt heeft hebben had hadden gehad word wordt worden werd werden geworden
        zal zult zullen zou zouden
    """,
}
STOP_WORDS = {language: frozenset(words.split()) for language, words in _LISTS.items()}
"""By language, in lower case."""
