"""The bundled tiny language model, served by CTranslate2 inside this process. infra/embedded_model made its weights."""
