// What the loader of conf knows and thinks, for schema_test.py.
//
//   conf_loader keys    every key of a config, one dotted path a line
//   conf_loader check   reads TOML texts from stdin, each ended by a NUL byte, and answers each
//   with
//                       one line: "ok", or its first mistake
//
// Names of workers and of stores that stand in no text count as known: a schema sees one file, too.
#include <cstdio>
#include <iostream>
#include <iterator>
#include <string>
#include <string_view>

#include "conf/known_keys.hpp"
#include "conf/load.hpp"

namespace {

std::string verdict_on(std::string_view text) {
    const auto result = cluster::conf::load(text, {"/srv/clusterd.toml", "/usr/bin", std::nullopt, std::nullopt});
    if (result) return "ok";
    const cluster::conf::Diagnostic& first = result.error().front();
    return std::to_string(first.line) + ":" + std::to_string(first.column) + ": " + first.message;
}

}  // namespace

int main(int argc, char** argv) {
    const std::string_view mode = argc == 2 ? argv[1] : "";
    if (mode == "keys") {
        for (const std::string& key : cluster::conf::known_keys()) std::puts(key.c_str());
        return 0;
    }
    if (mode != "check") {
        std::fputs("usage: conf_loader keys | conf_loader check <TEXTS\n", stderr);
        return 2;
    }
    for (std::string text; std::getline(std::cin, text, '\0');) {
        std::puts(verdict_on(text).c_str());
    }
    return 0;
}
