"""The names a `.skops` file may hold beyond those skops itself trusts, each with the one role it may play.

skops trusts names, not roles: what is trusted as a type may stand in a node that calls it. So the lists are kept apart
by role, and `skops_schema` lets a name stand only where its role is. A function here computes on what it is given and
touches no file. A class here is rebuilt with `__new__` and its state, never called with arguments from the file. That
says nothing of memory: trees and boosters with broken indices can crash the process, hence the child process.
Every name was met in the files of scikit-learn's own estimators and of the boosters, or is a sibling of one.
"""

from __future__ import annotations

_LOSSES = (
    "AbsoluteError", "ExponentialLoss", "HalfBinomialLoss", "HalfGammaLoss", "HalfMultinomialLoss", "HalfPoissonLoss",
    "HalfSquaredError", "HalfTweedieLoss", "HalfTweedieLossIdentity", "HuberLoss", "PinballLoss",
)  # fmt: skip
_LINKS = ("HalfLogitLink", "IdentityLink", "Interval", "LogLink", "LogitLink", "MultinomialLogit")
_CY_LOSSES = (
    "CyAbsoluteError", "CyExponentialLoss", "CyHalfBinomialLoss", "CyHalfGammaLoss", "CyHalfMultinomialLoss",
    "CyHalfPoissonLoss", "CyHalfSquaredError", "CyHalfTweedieLoss", "CyHalfTweedieLossIdentity", "CyHuberLoss",
    "CyPinballLoss",
)  # fmt: skip
_KERNELS = (
    "CompoundKernel", "ConstantKernel", "DotProduct", "ExpSineSquared", "Exponentiation", "Matern",
    "PairwiseKernel", "Product", "RBF", "RationalQuadratic", "Sum", "WhiteKernel",
)  # fmt: skip
_METRICS = (
    "BrayCurtisDistance", "CanberraDistance", "ChebyshevDistance", "DiceDistance", "EuclideanDistance",
    "HammingDistance", "HaversineDistance", "JaccardDistance", "MahalanobisDistance", "ManhattanDistance",
    "MinkowskiDistance", "RogersTanimotoDistance", "RussellRaoDistance", "SEuclideanDistance",
    "SokalSneathDistance",
)  # fmt: skip
_NUMPY_FUNCTIONS = (
    "abs", "absolute", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctanh", "cbrt", "ceil", "clip", "cos",
    "cosh", "deg2rad", "degrees", "exp", "exp2", "expm1", "fabs", "floor", "log", "log10", "log1p", "log2", "mean",
    "median", "negative", "positive", "rad2deg", "radians", "reciprocal", "rint", "round", "sign", "sin", "sinh",
    "sqrt", "square", "tan", "tanh", "trunc",
)  # fmt: skip
_SCORES = ("chi2", "f_classif", "f_regression", "r_regression")
_SGD_LOSSES = ("EpsilonInsensitive", "Hinge", "ModifiedHuber", "SquaredEpsilonInsensitive", "SquaredHinge")

#: The metrics behind scikit-learn's scorers: what a scorer's `_score_func` must be.
_CLASSIFICATION_METRICS = (
    "accuracy_score", "balanced_accuracy_score", "brier_score_loss", "d2_brier_score", "d2_log_loss_score", "f1_score",
    "fbeta_score", "jaccard_score", "log_loss", "matthews_corrcoef", "precision_score", "recall_score",
)  # fmt: skip
_REGRESSION_METRICS = (
    "d2_absolute_error_score", "explained_variance_score", "max_error", "mean_absolute_error",
    "mean_absolute_percentage_error", "mean_gamma_deviance", "mean_poisson_deviance", "mean_squared_error",
    "mean_squared_log_error", "median_absolute_error", "r2_score", "root_mean_squared_error",
    "root_mean_squared_log_error",
)  # fmt: skip
SCORE_FUNCTIONS = frozenset(
    {
        *(f"sklearn.metrics._classification.{name}" for name in _CLASSIFICATION_METRICS),
        *(f"sklearn.metrics._regression.{name}" for name in _REGRESSION_METRICS),
        "sklearn.metrics._ranking.average_precision_score",
        "sklearn.metrics._ranking.roc_auc_score",
        "sklearn.metrics._ranking.top_k_accuracy_score",
    }
)

#: Scorers call any method of what they score by its name: only with the state that `skops_schema` asks of them.
SCORERS = frozenset(f"sklearn.metrics._scorer.{name}" for name in ("_CurveScorer", "_PassthroughScorer", "_Scorer"))

#: What functools.partial may hold.
PARTIAL_FUNCTIONS = frozenset({"sklearn.utils.validation.check_array", *(f"numpy.{name}" for name in _NUMPY_FUNCTIONS)})

FUNCTIONS = PARTIAL_FUNCTIONS | {
    "scipy._lib.array_api_compat.numpy._aliases.asarray",
    "sklearn.cluster._kmeans._kmeans_single_elkan",
    "sklearn.cluster._kmeans._kmeans_single_lloyd",
    "sklearn.decomposition._fastica._cube",
    "sklearn.decomposition._fastica._exp",
    "sklearn.decomposition._fastica._logcosh",
    "sklearn.feature_selection._mutual_info.mutual_info_classif",
    "sklearn.feature_selection._mutual_info.mutual_info_regression",
    *(f"sklearn.feature_selection._univariate_selection.{name}" for name in _SCORES),
}

#: What converts the text of a dictionary's key back.
KEY_TYPES = frozenset(
    {
        *(f"builtins.{name}" for name in ("bool", "float", "int", "str")),
        *(f"numpy.{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
        *(f"numpy.{name}" for name in ("bool", "bool_", "float16", "float32", "float64", "str_")),
    }
)
#: Types as values, such as an encoder's `dtype`.
TYPES = KEY_TYPES | {
    *(f"builtins.{name}" for name in ("dict", "list", "object", "set", "tuple")),
    "collections.OrderedDict",
    *(f"numpy.{name}" for name in ("floating", "integer", "number", "object_")),  # as in make_column_selector
}

#: Extension types: their state is a tuple, and `__setstate__` checks the types in it.
TUPLE_STATE = frozenset(
    {
        *(f"sklearn.metrics._dist_metrics.{name}{bits}" for name in _METRICS for bits in ("", "32", "64")),
        *(f"sklearn.neighbors._ball_tree.BallTree{bits}" for bits in ("", "32", "64")),
        *(f"sklearn.neighbors._kd_tree.KDTree{bits}" for bits in ("", "32", "64")),
    }
)
LOSSES = frozenset(
    {
        *(f"sklearn._loss._loss.{name}" for name in _CY_LOSSES),
        *(f"sklearn.linear_model._sgd_fast.{name}" for name in _SGD_LOSSES),
    }
)
SPARSE = frozenset(
    f"scipy.sparse._{kind}.{kind}_{shape}"
    for kind in ("bsr", "coo", "csc", "csr", "dia")
    for shape in ("array", "matrix")
)
DICTS = frozenset({"builtins.dict", "collections.OrderedDict", "sklearn.utils._bunch.Bunch"})

CLASSES = TUPLE_STATE | {
    "catboost.core.CatBoostClassifier",
    "catboost.core.CatBoostRegressor",
    "lightgbm.basic.Booster",
    "lightgbm.sklearn.LGBMClassifier",
    "lightgbm.sklearn.LGBMRanker",
    "lightgbm.sklearn.LGBMRegressor",
    "scipy.interpolate._bsplines.BSpline",
    "sklearn._loss.loss.BaseLoss",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.calibration._TemperatureScaling",
    "sklearn.cluster._bisect_k_means._BisectingTree",
    "sklearn.compose._column_transformer._RemainderColsList",
    "sklearn.compose._column_transformer.make_column_selector",
    "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
    "sklearn.model_selection._split.KFold",  # a search keeps the one it was fitted with
    "sklearn.model_selection._split.StratifiedKFold",
    "sklearn.multiclass._ConstantPredictor",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
    "sklearn.utils._metadata_requests.MetadataRequest",
    "sklearn.utils._metadata_requests.MethodMetadataRequest",
    "xgboost.core.Booster",
    "xgboost.sklearn.XGBClassifier",
    "xgboost.sklearn.XGBRFClassifier",
    "xgboost.sklearn.XGBRFRegressor",
    "xgboost.sklearn.XGBRanker",
    "xgboost.sklearn.XGBRegressor",
    *(f"sklearn._loss.loss.{name}" for name in _LOSSES),
    *(f"sklearn._loss.link.{name}" for name in _LINKS),
    *(f"sklearn.gaussian_process.kernels.{name}" for name in _KERNELS),
}

#: Every name, whatever its role: safe to hand to skops only for a file that `skops_schema` has passed.
TRUSTED: tuple[str, ...] = (
    *sorted(CLASSES | DICTS | FUNCTIONS | LOSSES | SCORERS | SCORE_FUNCTIONS | SPARSE | TYPES),
    "collections.defaultdict",
    "functools.partial",
    "numpy.dtype",
    "numpy.ma.MaskedArray",
    "sklearn.tree._tree.Tree",
)
