/*
 * faiss::kmeans1d as a peer of bench_quantizers, for C.
 */
#include <faiss/impl/kmeans1d.h>

extern "C" double bench_faiss_kmeans1d(const float *w, size_t n, size_t k, float *levels)
{
    return faiss::kmeans1d(w, n, k, levels);
}
