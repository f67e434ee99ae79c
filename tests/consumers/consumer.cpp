// A C++17 program outside the tree: handles in unique_ptr, the file in a vector, work on
// std::thread through the parallel hook.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <nq/nq.h>

#include "std_thread.hpp"

namespace
{

struct Delete {
    void operator()(nq_ctx *p) const
    {
        nq_ctx_destroy(p);
    }
    void operator()(nq_plan *p) const
    {
        nq_plan_destroy(p);
    }
    void operator()(nq_reader *p) const
    {
        nq_reader_destroy(p);
    }
};
template <class T> using handle = std::unique_ptr<T, Delete>;

void check(nq_status status)
{
    if (status != NQ_OK)
        throw std::runtime_error(nq_status_text(status));
}

unsigned n_workers = 3;

nq_status append(void *user, uint64_t offset, const void *bytes, size_t n_bytes)
{
    auto &file = *static_cast<std::vector<unsigned char> *>(user);
    file.resize(std::max(file.size(), static_cast<size_t>(offset) + n_bytes));
    std::copy_n(static_cast<const unsigned char *>(bytes), n_bytes,
                file.begin() + static_cast<std::ptrdiff_t>(offset));
    return NQ_OK;
}

handle<nq_ctx> make_context()
{
    nq_ctx_options options;
    nq_ctx_options_init(&options);
    options.parallel_for = std_thread_parallel_for;
    options.parallel_user = &n_workers;
    options.max_workers = n_workers;
    nq_ctx *ctx;
    check(nq_ctx_create(&ctx, &options));
    return handle<nq_ctx>(ctx);
}

std::vector<unsigned char> compress(const nq_ctx *ctx, const std::vector<float> &weights,
                                    double step)
{
    const std::string name = "weights";
    nq_tensor tensor;
    nq_tensor_init(&tensor);
    tensor.dtype = NQ_F32;
    tensor.rank = 1;
    tensor.dims[0] = weights.size();
    tensor.name = name.data();
    tensor.name_bytes = static_cast<uint32_t>(name.size());
    tensor.data = weights.data();

    nq_plan_options options;
    nq_plan_options_init(&options);
    options.target = NQ_TARGET_STEP;
    options.target_value = step;
    nq_plan *raw;
    check(nq_plan_create(&raw, ctx, &options));
    const handle<nq_plan> plan(raw);
    check(nq_plan_add(raw, &tensor, nullptr, nullptr));

    std::vector<unsigned char> file;
    nq_sink sink;
    nq_sink_init(&sink);
    sink.write = append;
    sink.user = &file;
    check(nq_plan_write(raw, &sink));
    return file;
}

} // namespace

int main()
{
    const double step = 0.125;
    std::vector<float> weights(600000);
    for (size_t i = 0; i < weights.size(); i++)
        weights[i] = static_cast<float>(std::sin(0.37 * static_cast<double>(i)));
    const auto ctx = make_context();
    const auto file = compress(ctx.get(), weights, step);
    if (file != compress(nullptr, weights, step)) // one thread gives the same bytes
        return 1;

    nq_reader *raw;
    check(nq_reader_open(&raw, nullptr, file.data(), file.size(), nullptr));
    const handle<nq_reader> model(raw);
    std::vector<float> decoded(weights.size());
    check(nq_reader_decode(raw, ctx.get(), 0, NQ_F32, 0, decoded.size(), decoded.data(), nullptr));
    for (size_t i = 0; i < weights.size(); i++)
        if (!(std::fabs(weights[i] - decoded[i]) <= step))
            return 1;
    std::printf("%s: %zu weights in %zu bytes\n", nq_version_string(), weights.size(), file.size());
    return 0;
}
