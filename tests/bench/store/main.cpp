// bench_store [--rounds N] [counting|table|kills|TEXT]: nanoseconds of the store's operations beside
// what one process can do alone and what other processes could share. TEXT chooses the mixes of the
// table whose name contains it. Prints lines of JSON; tests/bench/store/table.py makes a table.
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include "measure.hpp"

int main(int count, char** arguments) {
    int rounds = 7;
    std::string_view wanted;
    for (int i = 1; i < count; ++i) {
        if (std::strcmp(arguments[i], "--rounds") == 0 && i + 1 < count) {
            rounds = std::atoi(arguments[++i]);
        } else {
            wanted = arguments[i];
        }
    }
    if (wanted.empty() || wanted == "counting") cluster::store::bench::run_abi_rows(rounds);
    if (wanted.empty() || wanted == "kills") cluster::store::bench::run_kill_rows(200);
    if (wanted == "counting" || wanted == "kills") return 0;
    cluster::store::bench::run_table_rows(rounds, wanted == "table" ? "" : std::string{wanted}.c_str());
    return 0;
}
