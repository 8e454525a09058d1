// [store] and [store.NAME], and what the workers of a file say about them.
#pragma once

#include <string>
#include <vector>

#include "conf/field.hpp"
#include "conf/load.hpp"
#include "core/spec.hpp"

namespace cluster::conf {

/// Every key of [store].
[[nodiscard]] std::vector<std::string_view> store_key_names();

/// Reads the table `store`: keys of the default one, and tables of further ones. `source`: absolute
/// path of the file.
[[nodiscard]] std::vector<core::StoreSpec> read_stores(const Field& field,
                                                       const std::string& source,
                                                       MinimumStoreSize minimum);

/// Reports every worker of the table [worker] whose `store` names none of `stores` or `others`.
void check_stores(const std::vector<core::WorkerSpec>& specs, const Field& workers,
                  const std::vector<core::StoreSpec>& stores,
                  const std::vector<std::string>& others);

}  // namespace cluster::conf
