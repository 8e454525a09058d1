// LMDB, opened in each process for itself, as it wants.
#pragma once

#include <filesystem>

#include "measure.hpp"

namespace cluster::store::bench {

struct Mix;
using Prepare = std::function<Work(int worker)>;

/// What prepares a worker; empty where liblmdb was not there to be built with.
[[nodiscard]] Prepare lmdb_counting(const std::filesystem::path& place);
[[nodiscard]] Prepare lmdb_table(const std::filesystem::path& place, const Mix& mix);
void lmdb_fill(const std::filesystem::path& place, const Mix& mix);

}  // namespace cluster::store::bench
