"""Module IV: training strategies and transfer learning."""

from training.reproduction.course import Question, Text

QUESTIONS = (
    Question(
        Text("Question 1", "Questão 1"),
        Text(
            "How is the “memoriser” related to deep nets?",
            "Qual é a relação entre o «memorizador» e as redes profundas?",
        ),
        Text(
            "A net of high capacity can memorise all its training examples and fail on new ones, which is the extreme "
            "case of overfitting. Its bias is weak, not strong (d). The residual net of module III, with accuracy "
            "{fashion_resnet:train_accuracy} on its 800 pictures and {fashion_resnet:test_accuracy} on the test set, "
            "comes near to it.",
            "Uma rede de alta capacidade pode memorizar todos os exemplos de treino e falhar em exemplos novos, o "
            "caso extremo de sobreajuste. O seu viés é fraco, não forte (d). A rede residual do módulo III, com "
            "exatidão {fashion_resnet:train_accuracy} nas suas 800 imagens e {fashion_resnet:test_accuracy} no teste, "
            "aproxima-se disso.",
        ),
        option="b",
        shown_by=("fashion_resnet",),
    ),
    Question(
        Text("Question 2", "Questão 2"),
        Text(
            "What do batch normalisation and regularisation do together?",
            "Qual é o papel do uso conjunto de normalização por lotes e regularização?",
        ),
        Text(
            "Batch normalisation smooths the gradient and keeps it from vanishing; regularisation keeps a few units "
            "from specialising too much. Normalisation is no preprocessing of the data (a), sparsity comes from L1 "
            "alone (b), and neither of them defends against attacks or makes the model smaller (d).",
            "A normalização por lotes suaviza o gradiente e evita que desapareça; a regularização evita que poucas "
            "unidades se especializem demais. A normalização não é pré-processamento dos dados (a), só a L1 traz "
            "esparsidade (b), e nenhuma das duas protege de ataques ou torna o modelo menor (d).",
        ),
        option="c",
        shown_by=("regularisation",),
    ),
    Question(
        Text("Question 3", "Questão 3"),
        Text(
            "Which practice makes deep learning viable with a small data set?",
            "Que prática viabiliza a aprendizagem profunda com uma pequena base de dados?",
        ),
        Text(
            "Take a net that was trained on a large set, give it a new output layer, and train that layer alone. "
            "Random weights (a, c) need more data: with ten drawings a class, our study finds a test accuracy of "
            "{transfer:transfer, 10 a class} by transfer and {transfer:from scratch, 10 a class} from scratch. The "
            "predictions of the old classes (b) carry the meaning of the old set.",
            "Carregar uma rede treinada com uma grande base, dar-lhe uma nova camada de saída e treinar só essa "
            "camada. Pesos aleatórios (a, c) precisam de mais dados: com dez desenhos por classe, o nosso estudo "
            "obtém no teste uma exatidão de {transfer:transfer, 10 a class} por transferência e {transfer:from "
            "scratch, 10 a class} de raiz. As predições das classes antigas (b) trazem a semântica da base antiga.",
        ),
        option="d",
        shown_by=("xo_mobilenet", "transfer"),
    ),
    Question(
        Text("Question 4", "Questão 4"),
        Text(
            "Which classes does the net predict for the test pictures 10 to 14, and how many are wrong?",
            "Que classes prevê a rede para as imagens de teste 10 a 14, e quantas estão erradas?",
        ),
        Text(
            "4, 5, 5, 3, 4, one of them wrong: picture 12 is a sneaker (7) that the net takes for a sandal (5). Our "
            "net gives {fashion_cnn:printed_predictions_met} of these 5 answers.",
            "4, 5, 5, 3, 4, uma delas errada: a imagem 12 é uma sapatilha (7) que a rede toma por uma sandália (5). A "
            "nossa rede dá {fashion_cnn:printed_predictions_met} destas 5 respostas.",
        ),
        option="c",
        shown_by=("fashion_cnn",),
    ),
    Question(
        Text("Question 5", "Questão 5"),
        Text(
            "In which range is the test accuracy on MNIST after the transfer from question 4?",
            "Em que intervalo fica a exatidão no teste do MNIST após a transferência da questão 4?",
        ),
        Text(
            "[0.98, 1.00]. The document as we have it neither marks an option nor prints the accuracy; ours is "
            "{mnist_transfer:test_accuracy}.",
            "[0,98; 1,00]. O documento, tal como o temos, não assinala nenhuma opção nem imprime a exatidão; a nossa "
            "é {mnist_transfer:test_accuracy}.",
        ),
        option="b",
        shown_by=("mnist_transfer",),
    ),
)
