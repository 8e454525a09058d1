// bench_empty.call(): what calling a function of a C extension costs that does nothing.
#define Py_LIMITED_API 0x030A0000
#include <Python.h>

namespace {

PyObject* call(PyObject* /*module*/, PyObject* const* /*arguments*/, Py_ssize_t /*count*/) {
    Py_RETURN_NONE;
}

PyMethodDef methods[] = {
    {"call", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(call)), METH_FASTCALL, ""},
    {nullptr, nullptr, 0, nullptr}};
PyModuleDef definition = {PyModuleDef_HEAD_INIT, "bench_empty", nullptr, -1,     methods,
                          nullptr,               nullptr,       nullptr, nullptr};

}  // namespace

PyMODINIT_FUNC PyInit_bench_empty() {
    return PyModule_Create(&definition);
}
