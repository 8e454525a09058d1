// The shared store as workers reach it by message. The shell opens the door; what stands behind it
// is the same segment that libcluster maps.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "base/time.hpp"
#include "channel/record.hpp"

namespace cluster::channel {

class StoreDoor {
public:
    virtual ~StoreDoor() = default;

    struct Found {
        std::string value;
        std::uint64_t token = 0;  // names this very value
    };
    /// A ttl of zero is none. Errors, of all: {store, errno} as lib/store/table.hpp has them.
    [[nodiscard]] virtual Result<Found> get(std::string_view key) = 0;
    /// The token of the new value.
    [[nodiscard]] virtual Result<std::uint64_t> set(std::string_view key, std::string_view value,
                                                    Duration ttl) = 0;
    /// Only where the key has the value that the token names; no token: only where it is not there.
    [[nodiscard]] virtual Result<std::uint64_t> compare_and_set(std::string_view key,
                                                                std::optional<std::uint64_t> token,
                                                                std::string_view value,
                                                                Duration ttl) = 0;
    [[nodiscard]] virtual Status remove(std::string_view key) = 0;
    /// Adds to a value that is a decimal number. The new one.
    [[nodiscard]] virtual Result<std::int64_t> increment(std::string_view key, std::int64_t by) = 0;
    /// The same, written down there before it is made.
    [[nodiscard]] virtual Result<std::int64_t> increment(std::string_view key, std::int64_t by,
                                                         StoreAttempt& attempt) = 0;
    /// Whether the change that a predecessor of ours has written down was made, or may have been.
    [[nodiscard]] virtual bool may_have_made(StoreAttempt& attempt) = 0;
    /// Adds to the atomic counter of that name. The new number.
    [[nodiscard]] virtual Result<std::int64_t> count(std::string_view name, std::int64_t by) = 0;
};

/// What is said to a worker whose command the store has refused.
[[nodiscard]] std::string_view store_refusal(int code);

}  // namespace cluster::channel
