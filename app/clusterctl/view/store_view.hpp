// What `clusterctl store` shows: texts for people, and documents. Keys and values are bytes: in a
// document those that are no text are {"hex": "…"}, as in CONTROL.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "clusterctl/view/status_view.hpp"
#include "ctl/protocol.hpp"
#include "store/census.hpp"
#include "store/counters.hpp"

namespace cluster::clusterctl {

struct StoreKey {
    std::string key;
    std::string value;
    std::uint64_t size = 0;                // of the value, which may be cut
    std::optional<std::int64_t> ttl_ms{};  // none: it stays
};

[[nodiscard]] std::string store_keys_table(const std::vector<StoreKey>& keys,
                                           const ViewOptions& view);
/// {"store", "keys": [{"key", "size_bytes", "ttl_ms"}], "more"}
[[nodiscard]] std::string store_keys_document(std::string_view store,
                                              const std::vector<StoreKey>& keys, bool has_more);
/// {"store", "key", "value", "size_bytes", "ttl_ms"}
[[nodiscard]] std::string store_value_document(std::string_view store, const StoreKey& key);
/// {"store", "key", "value"}: a number.
[[nodiscard]] std::string store_number_document(std::string_view store, std::string_view key,
                                                std::int64_t number);
/// {"store", "deleted", "missing"}: lists of keys.
[[nodiscard]] std::string store_deleted_document(std::string_view store,
                                                 const std::vector<std::string>& deleted,
                                                 const std::vector<std::string>& missing);

[[nodiscard]] std::string counters_table(const std::vector<store::CounterItem>& counters,
                                         const ViewOptions& view);
/// {"store", "counters": [{"name", "kind", "value"}]}
[[nodiscard]] std::string counters_document(std::string_view store,
                                            const std::vector<store::CounterItem>& counters);

struct StoreStatistics {
    ctl::StoreStatus status;
    store::Census census;
    std::uint32_t chunks = 0;           // of 1 MiB, that it has
    std::uint64_t memory_bytes = 0;     // that it takes now
    std::vector<std::string> others{};  // names of the daemon's other stores
};
[[nodiscard]] std::string statistics_text(const StoreStatistics& statistics);
[[nodiscard]] std::string statistics_document(const StoreStatistics& statistics);

}  // namespace cluster::clusterctl
