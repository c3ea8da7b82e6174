class MiniCPMVPlugin:
    def get_mm_inputs(self, images: list) -> None:
        images.clear()
