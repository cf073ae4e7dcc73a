"""The names of `slt_zoo`, for type checkers; a test holds that they are those of `__init__.py`."""

from slt_zoo._version import __version__ as __version__
from slt_zoo.data.base import SLTDataModule as SLTDataModule
from slt_zoo.data.manifest import Manifest as Manifest
from slt_zoo.datamodules.csl_daily import CSLDaily as CSLDaily
from slt_zoo.datamodules.csl_daily_qa import CSLDailyQA as CSLDailyQA
from slt_zoo.datamodules.gsl import GSL as GSL
from slt_zoo.datamodules.how2sign import How2Sign as How2Sign
from slt_zoo.datamodules.phoenix14t import Phoenix14T as Phoenix14T
from slt_zoo.datamodules.phoenix14t_qa import Phoenix14TQA as Phoenix14TQA
from slt_zoo.errors import SLTError as SLTError
from slt_zoo.loading import InitFrom as InitFrom
from slt_zoo.loading import load as load
from slt_zoo.models.base import SLTModule as SLTModule
from slt_zoo.models.sage import SAGE as SAGE
from slt_zoo.models.sage import SAGEPretraining as SAGEPretraining
from slt_zoo.models.sign_attention import SignAttention as SignAttention
from slt_zoo.models.sign_segmentor import SignSegmentor as SignSegmentor
from slt_zoo.models.text_pretraining import TextPretraining as TextPretraining
from slt_zoo.types import Batch as Batch
from slt_zoo.types import Clip as Clip
from slt_zoo.types import ClipPipeline as ClipPipeline
from slt_zoo.types import DataFacts as DataFacts
from slt_zoo.types import InputSpec as InputSpec
from slt_zoo.types import Losses as Losses
from slt_zoo.types import Media as Media
from slt_zoo.types import Prediction as Prediction
from slt_zoo.types import Ragged as Ragged
from slt_zoo.types import Sample as Sample

_MODELS: dict[str, str]
_CORPORA: dict[str, str]
_OTHERS: dict[str, str]
