// Bytes as a text of JSON: what we read of it, and say of it again, is what the library says that
// does it for us; a refusal is one of the library's, or one of our bounds.

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/assert.hpp"
#include "json/text.hpp"

namespace json = cluster::json;
using Library = nlohmann::ordered_json;

namespace {

constexpr auto kReplace = Library::error_handler_t::replace;

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* input, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(input), size);
    CLUSTER_ASSERT(json::quote(text) == Library(text).dump(-1, ' ', false, kReplace));
    CLUSTER_ASSERT(json::is_utf8(text) ==
                   (json::parse(json::quote(text))->text()->compare(text) == 0));
    const bool is_json = Library::accept(text);
    CLUSTER_ASSERT(json::is_json(text) == is_json);
    const auto value = json::parse(text);
    if (!value) {
        CLUSTER_ASSERT(!is_json || !value.error().starts_with("not JSON"));
        return 0;
    }
    CLUSTER_ASSERT(is_json);
    const Library theirs = Library::parse(text);
    const std::string line = json::dump_line(*value);
    CLUSTER_ASSERT(line == theirs.dump());
    const std::string pretty = json::dump_pretty(*value);
    CLUSTER_ASSERT(pretty == theirs.dump(2) + "\n");
    CLUSTER_ASSERT(json::parse(line) == *value);
    CLUSTER_ASSERT(json::parse(pretty) == *value);
    return 0;
}
