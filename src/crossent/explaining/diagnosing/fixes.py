"""The fix of each code as one or two lines for torch, Keras, JAX (with optax) and scikit-learn."""

from collections.abc import Mapping


def _fix(torch: str, keras: str, jax: str, sklearn: str) -> Mapping[str, str]:
    return {"torch": torch, "keras": keras, "jax": jax, "sklearn": sklearn}


_SKLEARN_PROBA = "log_loss(y, model.predict_proba(x), labels=range(classes))"
_FROM_LOGITS = _fix(
    "loss = F.cross_entropy(logits, target)  # logits: no softmax before",
    "loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)",
    "loss = optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()",
    _SKLEARN_PROBA,
)
_BINARY_LOGITS = _fix(
    "loss = F.binary_cross_entropy_with_logits(logits, target.float())  # no sigmoid before",
    "loss = keras.losses.BinaryCrossentropy(from_logits=True)",
    "loss = optax.sigmoid_binary_cross_entropy(logits, labels).mean()",
    "log_loss(y, model.predict_proba(x))",
)
_LOWER_RATE = _fix(
    "torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)\noptimizer = torch.optim.Adam(model.parameters(), lr=1e-4)",
    "model.compile(keras.optimizers.Adam(1e-4, clipnorm=1.0), loss)",
    "optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-4))",
    "model = make_pipeline(StandardScaler(), MLPClassifier(learning_rate_init=1e-4))",
)
_LOOK_AT_DATA = _fix(
    "assert torch.isfinite(x).all() and torch.isfinite(model(x)).all()",
    "assert keras.ops.all(keras.ops.isfinite(model(x)))",
    "jax.config.update('jax_debug_nans', True)",
    "sklearn.utils.assert_all_finite(x)",
)
_RELABEL = _fix(
    "target = target - 1",
    "y = y - 1",
    "labels = labels - 1",
    "y = LabelEncoder().fit_transform(y)",
)
_WRONG_LABELS = _fix(
    "assert 0 <= target.min() and target.max() < logits.shape[1]",
    "assert 0 <= y.min() and y.max() < model.output_shape[-1]",
    "assert 0 <= labels.min() and labels.max() < logits.shape[-1]",
    "y = LabelEncoder().fit_transform(y)",
)
_IGNORE = _fix(
    "loss = F.cross_entropy(logits, target, ignore_index=255)  # your value",
    "loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=255)  # your value",
    "mask = labels != 255  # your value\nloss = (row_losses * mask).sum() / mask.sum()",
    "keep = y != 255  # your value\nlog_loss(y[keep], proba[keep])",
)
_MEAN = _fix(
    "loss = F.cross_entropy(logits, target, reduction='mean')",
    "loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction='sum_over_batch_size')",
    "loss = optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()",
    "log_loss(y, proba, normalize=True)",
)
_MASKED_MEAN = _fix(
    "loss = F.cross_entropy(logits, target, ignore_index=-100)  # divides by the rows that count",
    "loss = keras.ops.sum(row_losses * mask) / keras.ops.maximum(keras.ops.sum(mask), 1)",
    "loss = (row_losses * mask).sum() / jnp.maximum(mask.sum(), 1)",
    "log_loss(y[mask], proba[mask])",
)
_WEIGHTS = _fix(
    "loss = F.cross_entropy(logits, target, weight=weight)  # target: class ids; divides by weight[target].sum()",
    "loss = keras.ops.sum(row_losses * weight) / keras.ops.sum(weight)",
    "loss = (row_losses * weight).sum() / weight.sum()",
    "log_loss(y, proba, sample_weight=weight)",
)
_DISTRIBUTION = _fix(
    "target = target / target.sum(dim=1, keepdim=True)",
    "y = y / keras.ops.sum(y, axis=-1, keepdims=True)",
    "labels = labels / labels.sum(axis=-1, keepdims=True)",
    "y = y.argmax(axis=1)",
)
# torch has the classes on axis 1, of (N, C) and of (N, C, H, W)
_SOFTMAX_AXIS = _fix(
    "probs = logits.softmax(dim=1)  # classes are on axis 1; F.cross_entropy takes the logits, without any softmax",
    "q = keras.ops.softmax(logits, axis=-1)  # Keras: classes on the last axis",
    "q = jax.nn.softmax(logits, axis=-1)  # classes on the last axis",
    "proba = scipy.special.softmax(scores, axis=1)  # each row sums to 1",
)
_MOVE_AXIS = _fix(
    "logits = logits.movedim(-1, 1)  # from (N, H, W, C) to (N, C, H, W); (C, N) wants logits.T",
    "logits = keras.ops.moveaxis(logits, 1, -1)  # from (N, C, H, W) to (N, H, W, C), Keras's order",
    "logits = jnp.moveaxis(logits, 1, -1)  # from (N, C, H, W) to (N, H, W, C), optax's order",
    "proba = numpy.moveaxis(proba, 1, -1).reshape(-1, classes)  # (N, C, H, W): move the axis, then flatten",
)
_BINARY_LABELS = _fix(
    "loss = F.cross_entropy(logits, target)  # or F.one_hot(target, classes).float() for a binary loss",
    "loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)",
    "labels = jax.nn.one_hot(labels, classes)",
    "y = label_binarize(y, classes=range(classes))",
)
_LEARNING = _fix(
    "print([p.grad.norm().item() for p in model.parameters()])  # after loss.backward(): all near 0?",
    "model.fit(x[:32], y[:32], epochs=200)  # can it learn 32 rows by heart?",
    "print(optax.global_norm(grads))",
    "model.fit(x[:32], y[:32])  # can it learn 32 rows by heart?",
)
_INPUTS = _fix(
    "print(x.std(dim=0), (model(x[:1]) - model(x[1:2])).abs().max())  # inputs vary, and outputs with them?",
    "print(x.std(axis=0), model(x[:1]) - model(x[1:2]))",
    "print(x.std(axis=0), apply(params, x[:1]) - apply(params, x[1:2]))",
    "x, y = sklearn.utils.shuffle(x, y)  # both in one call, so that they stay in one order",
)
_SMALL_START = _fix(
    "torch.nn.init.zeros_(model[-1].weight)  # the first loss is near ln K then",
    "keras.layers.Dense(classes, kernel_initializer='zeros')",
    "flax.linen.Dense(classes, kernel_init=jax.nn.initializers.zeros)",
    "model = make_pipeline(StandardScaler(), LogisticRegression())",
)
_TEMPERATURE = _fix(
    "loss = F.cross_entropy(logits / temperature, target)  # one number, fitted on validation rows",
    "loss = loss_fn(y, logits / temperature)",
    "loss = optax.softmax_cross_entropy_with_integer_labels(logits / temperature, labels).mean()",
    "model = CalibratedClassifierCV(model)",
)
_STOP = _fix(
    "optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.1)",
    "model.fit(x, y, validation_split=0.1, callbacks=[keras.callbacks.EarlyStopping(restore_best_weights=True)])",
    "optimizer = optax.adamw(1e-3, weight_decay=0.1)",
    "model = MLPClassifier(early_stopping=True, alpha=0.1)",
)
_READ_EXCESS = _fix(
    "excess = loss - torch.special.entr(target).sum(dim=1).mean()",
    "excess = loss + keras.ops.mean(keras.ops.sum(y * keras.ops.log(keras.ops.maximum(y, 1e-30)), axis=-1))",
    "excess = loss - jax.scipy.special.entr(labels).sum(-1).mean()",
    "excess = loss - scipy.stats.entropy(p, axis=1).mean()",
)
_ONE_UNIT = _fix(
    "loss = F.binary_cross_entropy_with_logits(logits.squeeze(1), target.float())",
    "model.add(keras.layers.Dense(1))\nloss = keras.losses.BinaryCrossentropy(from_logits=True)",
    "loss = optax.sigmoid_binary_cross_entropy(logits.squeeze(-1), labels).mean()",
    "log_loss(y, proba[:, 0], labels=[0, 1])",
)
_FLOAT32 = _fix(
    "loss = F.cross_entropy(logits.float(), target)  # bfloat16 or a GradScaler for the rest",
    "keras.layers.Dense(classes, dtype='float32')",
    "loss = optax.softmax_cross_entropy_with_integer_labels(logits.astype(jnp.float32), labels).mean()",
    "log_loss(y, proba.astype('float64'))",
)
_LOG_SOFTMAX = _fix(
    "loss = F.nll_loss(F.log_softmax(logits, dim=1), target)",
    "loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)",
    "loss = -jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], axis=-1).mean()",
    _SKLEARN_PROBA,
)
_UPDATE = _fix(
    "optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)\noptimizer.zero_grad(); loss.backward(); optimizer.step()",
    "model.trainable = True\nmodel.compile(keras.optimizers.Adam(1e-3), loss)",
    "params = optax.apply_updates(params, updates)",
    "model = SGDClassifier(loss='log_loss', learning_rate='constant', eta0=0.01)",
)
_SIGN = _fix(
    "loss = -F.log_softmax(logits, dim=1)[torch.arange(len(target)), target].mean()",
    "loss = -keras.ops.mean(keras.ops.sum(y * keras.ops.log_softmax(logits), axis=-1))",
    "loss = -(labels * jax.nn.log_softmax(logits)).sum(-1).mean()",
    "loss = -cross_val_score(model, x, y, scoring='neg_log_loss').mean()",
)
_NATS = _fix(*["loss_nats = loss_bits * math.log(2)  # or loss_log10 * math.log(10), or math.log(perplexity)"] * 4)
_NO_ACTIVATION = _fix(
    "model = nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, classes))  # and nothing after",
    "keras.layers.Dense(classes, activation=None)",
    "logits = h @ params['w'] + params['b']  # no activation",
    "model = MLPClassifier(activation='relu')  # adds no activation to its output",
)
_SHUFFLE = _fix(
    "loader = DataLoader(dataset, batch_size=64, shuffle=True)",
    "model.fit(x, y, shuffle=True)",
    "order = jax.random.permutation(key, len(labels))",
    "x_train, x_test, y_train, y_test = train_test_split(x, y, stratify=y)",
)
_FROM_PROBS = _fix(
    "loss = F.binary_cross_entropy_with_logits(logits, target)  # or F.cross_entropy for several classes",
    "loss = keras.losses.CategoricalCrossentropy(from_logits=True)",
    "loss = optax.softmax_cross_entropy(logits, labels).mean()",
    "log_loss(y, scipy.special.softmax(scores, axis=1))",
)
_EXP = _fix(
    "loss = F.nll_loss(log_probs, target)",
    "loss = keras.losses.CategoricalCrossentropy(from_logits=True)  # softmax of log-probabilities changes nothing",
    "loss = -(labels * log_probs).sum(-1).mean()",
    "log_loss(y, numpy.exp(model.predict_log_proba(x)))",
)
_SHAPES = _fix(
    "print(logits.shape, target.shape, target.dtype)  # wanted: (rows, classes), (rows,), int64",
    "print(logits.shape, y.shape, y.dtype)",
    "print(logits.shape, labels.shape, labels.dtype)",
    "print(proba.shape, y.shape)",
)
_ALL_IGNORED = _fix(
    "count = (target != -100).sum()\nloss = F.cross_entropy(logits, target, reduction='sum') / count.clamp(min=1)",
    _MASKED_MEAN["keras"],
    _MASKED_MEAN["jax"],
    "loss = log_loss(y[mask], proba[mask]) if mask.any() else 0.0",
)

_AGAIN = _fix(
    "loss_again = F.cross_entropy(logits.double(), target)  # with the same weight, smoothing and reduction",
    "loss_again = loss_fn(y, outputs)",
    "loss_again = optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()",
    "loss_again = log_loss(y, proba, labels=range(classes))",
)
_SOFT = _fix(
    "target = teacher_logits.softmax(dim=1)  # or nn.KLDivLoss(reduction='batchmean', log_target=True)",
    "y = keras.ops.softmax(teacher_logits)",
    "labels = jax.nn.softmax(teacher_logits)",
    "p = scipy.special.softmax(teacher_scores, axis=1)",
)
_CONVERT = _fix(
    "target = target.long()  # class ids: int64, shape (rows,); one-hot and binary targets: target.float()",
    "y = keras.ops.cast(y, 'int64')",
    "labels = labels.astype(jnp.int32)",
    "y = y.astype(int).ravel()",
)
# for a function of probabilities: its own from_logits=True on top of the model's softmax would be the fault itself
ONE_SOFTMAX = _fix(
    "loss = F.nll_loss(q.log(), target)  # q: the model's one softmax",
    "loss = keras.losses.SparseCategoricalCrossentropy(from_logits=False)  # the model's one softmax stays",
    "loss = -(labels * jnp.log(q)).sum(-1).mean()  # q: the model's one softmax",
    _SKLEARN_PROBA,
)

FIXES: Mapping[str, Mapping[str, str]] = {
    "CE001": _FROM_LOGITS,
    "CE002": _LOOK_AT_DATA,
    "CE003": _FROM_LOGITS,
    "CE004": _DISTRIBUTION,
    "CE005": _FROM_LOGITS,
    "CE100": _SHAPES,
    "CE101": _LEARNING,
    "CE102": _INPUTS,
    "CE103": _BINARY_LOGITS,
    "CE104": _LOG_SOFTMAX,
    "CE105": _BINARY_LABELS,
    "CE106": _FROM_LOGITS,
    "CE107": _ALL_IGNORED,
    "CE108": _LOWER_RATE,
    "CE109": _FLOAT32,
    "CE110": _FROM_LOGITS,
    "CE111": _ONE_UNIT,
    "CE112": _RELABEL,
    "CE113": _IGNORE,
    "CE114": _WRONG_LABELS,
    "CE115": _SOFTMAX_AXIS,
    "CE116": _MOVE_AXIS,
    "CE117": _MEAN,
    "CE118": _MEAN,
    "CE119": _MASKED_MEAN,
    "CE120": _WEIGHTS,
    "CE121": _READ_EXCESS,
    "CE122": _TEMPERATURE,
    "CE123": _SMALL_START,
    "CE124": _FROM_PROBS,
    "CE125": _BINARY_LOGITS,
    "CE126": _LOG_SOFTMAX,
    "CE127": _UPDATE,
    "CE128": _LOWER_RATE,
    "CE129": _SIGN,
    "CE130": _NATS,
    "CE131": _NO_ACTIVATION,
    "CE132": _SHUFFLE,
    "CE133": _EXP,
    "CE134": _STOP,
    "CE135": _AGAIN,
    "CE136": _SOFT,
    "CE137": _CONVERT,
}
