"""Replicas that share the rows of a batch: on the cores of a CPU, and in several processes."""

import functools
from typing import Any

import tensorflow as tf

from rnnapps.data import as_it_is
from rnnapps.workers import Cluster


class ByRows:
    """Mixed in before a strategy: each replica takes its share of the rows of every batch.

    The rows of all replicas, one after the other, are the batch of a single device. tf.data's own
    ways give each process whole files or whole examples (`AutoShardPolicy`), and copy all that a
    pipeline holds once more to learn how many rows its batches have.
    """

    first = 0  # index of this process' first replica, of all

    @property
    def local(self) -> int:
        """Number of replicas in this process."""
        return len(self.extended.worker_devices)

    def experimental_distribute_dataset(
        self, dataset: tf.data.Dataset, options: tf.distribute.InputOptions | None = None
    ) -> tf.distribute.DistributedDataset:
        """See `tf.distribute.Strategy`."""
        count = self.num_replicas_in_sync

        def share(batch, i):
            def part(x):
                if x is None:
                    return None
                size = x.shape[0] or tf.shape(x)[0]
                return x[size * i // count : size * (i + 1) // count]

            return tf.data.Dataset.from_tensors(tf.nest.map_structure(part, batch))

        def own(*batch):
            mine = range(self.first, self.first + self.local)
            return functools.reduce(tf.data.Dataset.concatenate, [share(batch, i) for i in mine])

        rows = dataset.flat_map(as_it_is(own)).prefetch(self.local)
        return self.distribute_datasets_from_function(lambda context: rows, options)


class CoresStrategy(ByRows, tf.distribute.MirroredStrategy):
    """Trains with a replica on each of some cores.

    Args:
        devices: The logical devices of the cores.
    """

    def __init__(self, devices: tuple[str, ...]):
        # In shared memory it is fastest to add up gradients in one place.
        adding = tf.distribute.ReductionToOneDevice()
        super().__init__(list(devices), cross_device_ops=adding)


class MultiWorkerStrategy(ByRows, tf.distribute.MultiWorkerMirroredStrategy):
    """Trains in several processes, each of which takes its rows of every batch.

    Keras 3.15's `fit` calls `reduce` in two ways that fail with several processes
    (https://github.com/keras-team/keras/issues/20585). This class returns what `fit` needs:

    - for a batch, of which `fit` uses only shapes and dtypes, the rows of this process, instead of
      a mean over batches whose lengths may differ;
    - for a metric, which is a scalar, the mean over the replicas, not over its first axis.

    Args:
        cluster: The processes.
    """

    def __init__(self, cluster: Cluster):
        resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
            tf.train.ClusterSpec({"worker": list(cluster.addresses)}),
            task_type="worker",
            task_id=cluster.index,
            rpc_layer="grpc",
        )
        super().__init__(resolver)
        self.first = cluster.index * self.local

    def reduce(self, reduce_op: Any, value: Any, axis: int | None) -> Any:
        """See `tf.distribute.Strategy`."""
        if tf.nest.is_nested(value):
            return tf.nest.map_structure(self._first_of, value)
        if axis == 0 and self._first_of(value).shape.rank == 0:
            axis = None
        return super().reduce(reduce_op, value, axis)

    def _first_of(self, value: Any) -> tf.Tensor:
        return self.experimental_local_results(value)[0]


def own_replicas(strategy: tf.distribute.Strategy) -> slice:
    """The replicas of this process.

    Args:
        strategy: The strategy.

    Returns:
        Their indices among all replicas.
    """
    if isinstance(strategy, MultiWorkerStrategy):
        return slice(strategy.first, strategy.first + strategy.local)
    return slice(0, strategy.num_replicas_in_sync)


def of_all_replicas(strategy: tf.distribute.Strategy, rows: tf.Tensor) -> tf.Tensor:
    """Concatenates the rows of all processes; a collective operation.

    Args:
        strategy: The strategy.
        rows: The rows of this process, `(rows, ...)`.

    Returns:
        The rows of all processes, in their order.
    """
    return strategy.gather(rows, axis=0) if isinstance(strategy, MultiWorkerStrategy) else rows
