// What comes to a worker through libcluster: any line, from a daemon that may be broken. Whatever it
// is, texts end within the line, and a text that goes out again is one line of JSON.

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "base/assert.hpp"
#include "channel/json.hpp"
#include "worker/channel_line.hpp"
#include "worker/channel_message.hpp"

namespace {

void check_within(const char* text, const std::string& line) {
    if (text == nullptr) return;
    CLUSTER_ASSERT(text >= line.data() && text <= line.data() + line.size());
    CLUSTER_ASSERT(text + std::strlen(text) <= line.data() + line.size());
}

/// What stands between the quotes of a JSON string.
std::string written(std::string_view text) {
    std::string result = "\"";
    while (!text.empty()) {
        const cluster::worker::Written next = cluster::worker::written_next(text);
        if (next.bytes == 0) return "";
        result += next.is_plain ? text.substr(0, next.read)
                                : std::string_view{next.escape.data(), next.bytes};
        text.remove_prefix(next.read);
    }
    return result + "\"";
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* input, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(input), size);

    const std::string again = written(text);
    if (!again.empty()) {
        CLUSTER_ASSERT(again.find('\n') == std::string::npos && cluster::channel::is_json(again));
        cluster::channel::Json json;
        CLUSTER_ASSERT(json.parse(again) && cluster::channel::string_of(json.root()) == text);
    }

    std::string line{text.substr(0, text.find('\n'))};
    // The last byte is where the newline was.
    const auto message = cluster::worker::read_message({line.data(), line.size()});
    if (!message) return 0;
    CLUSTER_ASSERT(message->kind >= CLUSTER_MESSAGE && message->kind <= CLUSTER_APPLICATION);
    for (const char* each : {message->from, message->topic, message->data, message->error}) {
        check_within(each, line);
    }
    if (message->data != nullptr) {
        CLUSTER_ASSERT(message->data + message->data_size <= line.data() + line.size());
    }
    return 0;
}
