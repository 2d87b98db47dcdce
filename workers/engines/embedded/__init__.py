"""The bundled tiny language model, served by CTranslate2 inside this process. `training/` made its weights."""
