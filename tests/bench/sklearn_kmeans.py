"""k-means of scikit-learn as a peer of bench_quantizers: usage: FILE K IS_WEIGHTED

FILE has as many f32 of importance behind the weights. Prints the CPU time of the fit and the levels.
"""
import os
import sys
import time

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy
from sklearn.cluster import KMeans

data = numpy.fromfile(sys.argv[1], dtype=numpy.float32).reshape(2, -1)
kmeans = KMeans(n_clusters=int(sys.argv[2]), n_init=1, random_state=1)
begin = time.process_time()
kmeans.fit(data[0].reshape(-1, 1), sample_weight=data[1] if int(sys.argv[3]) else None)
print(time.process_time() - begin)
for level in kmeans.cluster_centers_.ravel():
    print(repr(float(level)))
