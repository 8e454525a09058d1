// Alone in its file, so that libcluster, which reads no fractions, does not carry what that takes of
// the standard library and of libm.
#include <charconv>

#include "channel/json.hpp"

namespace cluster::channel {

std::optional<double> number_of(const JsonValue& value) {
    if (value.type != JsonType::number) return std::nullopt;
    double number = 0;
    const char* const end = value.text.data() + value.text.size();
    const auto [last, error] = std::from_chars(value.text.data(), end, number);
    if (error != std::errc{} || last != end) return std::nullopt;
    return number;
}

}  // namespace cluster::channel
