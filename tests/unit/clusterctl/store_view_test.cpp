#include "clusterctl/view/store_view.hpp"

#include <doctest/doctest.h>

#include <cstring>
#include <string>

using namespace cluster::clusterctl;
namespace store = cluster::store;

namespace {

store::CounterItem counter(const std::string& name, store::CounterKind kind, std::int64_t value) {
    store::CounterItem item;
    std::memcpy(item.name.data(), name.data(), name.size());
    item.name_size = static_cast<store::u32>(name.size());
    item.kind = kind;
    item.value = value;
    return item;
}

TEST_CASE("clusterctl/store: sizes and times are for people, and nothing steers a terminal") {
    const std::vector<StoreKey> keys = {
        {.key = "a", .value = "hello", .size = 5, .ttl_ms = 3'599'000},
        {.key = "\x1B[2J", .value = std::string("\0\n\xFF", 3), .size = 2048}};
    const std::string table = store_keys_table(keys, {.width = 80, .has_colour = false});
    CHECK(table.find("59m 59s") != std::string::npos);
    CHECK(table.find("5 B") != std::string::npos);
    CHECK(table.find("2.0 KiB") != std::string::npos);
    CHECK(table.find("hello") != std::string::npos);
    CHECK(table.find('\x1B') == std::string::npos);
    CHECK(table.find('\0') == std::string::npos);
}

TEST_CASE(
    "clusterctl/store: documents have numbers as numbers, and bytes that are no text as hex") {
    const StoreKey text{.key = "k", .value = "v", .size = 1, .ttl_ms = 5};
    CHECK(store_value_document("default", text) ==
          "{\n  \"store\": \"default\",\n  \"key\": \"k\",\n  \"value\": \"v\",\n  "
          "\"size_bytes\": 1,\n  \"ttl_ms\": 5\n}\n");
    const StoreKey bytes{.key = "\xFEk", .value = std::string(1, '\0'), .size = 1};
    const std::string document = store_value_document("default", bytes);
    CHECK(document.find("\"hex\": \"fe6b\"") != std::string::npos);
    CHECK(document.find("\"hex\": \"00\"") != std::string::npos);
    CHECK(document.find("\"ttl_ms\": null") != std::string::npos);
    CHECK(store_keys_document("s", {text}, true).find("\"more\": true") != std::string::npos);
    CHECK(store_number_document("s", "n", -8).find("\"value\": -8") != std::string::npos);
    const std::string deleted = store_deleted_document("s", {"a"}, {"b"});
    CHECK(deleted.find("\"deleted\"") < deleted.find("\"a\""));
    CHECK(deleted.find("\"missing\"") < deleted.find("\"b\""));
}

TEST_CASE("clusterctl/store: counters are shown with kind and value, whatever their names hold") {
    const std::vector<store::CounterItem> counters = {
        counter("hits", store::CounterKind::atomic, 7),
        counter("\x1B]0;x", store::CounterKind::striped, -1)};
    const std::string table = counters_table(counters, {.width = 80, .has_colour = false});
    CHECK(table.find("hits") != std::string::npos);
    CHECK(table.find("striped") != std::string::npos);
    CHECK(table.find('\x1B') == std::string::npos);
    const std::string document = counters_document("s", counters);
    CHECK(document.find("\"value\": 7") != std::string::npos);
    CHECK(document.find("\"kind\": \"atomic\"") != std::string::npos);
}

TEST_CASE("clusterctl/store: statistics say how full it is, and which other stores there are") {
    StoreStatistics statistics;
    statistics.census.keys = 3;
    statistics.census.bytes = 1536;
    statistics.census.counters = 2;
    statistics.census.classes[0] = {
        .block_bytes = 64, .chunks = 1, .used_blocks = 5, .free_blocks = 16379};
    statistics.memory_bytes = 2U << 20U;
    statistics.chunks = 60;
    statistics.others = {"sessions"};
    const std::string text = statistics_text(statistics);
    CHECK(text.find("64.0 MiB") != std::string::npos);
    CHECK(text.find("3, 1.5 KiB") != std::string::npos);
    CHECK(text.find("2 of 4096") != std::string::npos);
    CHECK(text.find("16379") != std::string::npos);
    CHECK(text.find("other stores: sessions") != std::string::npos);
    const std::string document = statistics_document(statistics);
    CHECK(document.find("\"free_blocks\": 16379") != std::string::npos);
    CHECK(document.find("\"generation\": null") != std::string::npos);
}

}  // namespace
